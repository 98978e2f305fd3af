package client

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"capnproto.org/go/capnp/v3"

	"quicnprotochat/schemas"
)

// ackLog takes acknowledgements and when they came.
type ackLog struct {
	start time.Time
	upTo  []uint64
	at    []time.Duration
	err   error
}

func (l *ackLog) WriteMessage(m *capnp.Message) error {
	ack, err := schemas.ReadRootPushAck(m)
	if err != nil {
		return err
	}
	l.upTo, l.at = append(l.upTo, ack.UpTo()), append(l.at, time.Since(l.start))
	return l.err
}

// envelopes returns n envelopes of a size, the last of which is seq.
func envelopes(seq uint64, n, size int) []Envelope {
	out := make([]Envelope, n)
	for i := range out {
		out[i] = Envelope{Seq: seq - uint64(n-1-i), Payload: make([]byte, size)}
	}
	return out
}

// TestAcker: what comes after a pause is acknowledged at once, what comes soon after that together, and much is not waited for.
func TestAcker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, told := &ackLog{start: time.Now()}, []uint64(nil)
		a := acker{stream: log, done: func(_ Queue, upTo uint64) { told = append(told, upTo) }}
		add := func(batch []Envelope) {
			t.Helper()
			if err := a.add(batch); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		add(envelopes(1, 1, 10))
		time.Sleep(time.Millisecond / 2) // so that the timer is not due when a batch comes
		for seq := uint64(2); seq <= 30; seq++ {
			add(envelopes(seq, 1, 10))
		}
		add(envelopes(30+ackMessages, ackMessages, 10))
		add(envelopes(1000, 1, ackBytes))
		time.Sleep(time.Second)
		add(envelopes(1001, 1, 10))
		add(envelopes(1002, 1, 10))
		a.stop()
		synctest.Wait()
		ms := time.Millisecond
		if want := []uint64{1, 20, 286, 1000, 1001, 1002}; !slices.Equal(log.upTo, want) {
			t.Fatalf("acknowledged %v, want %v", log.upTo, want)
		}
		if want := []time.Duration{0, 20 * ms, 30*ms + ms/2, 31*ms + ms/2, 1032*ms + ms/2, 1034*ms + ms/2}; !slices.Equal(log.at, want) {
			t.Fatalf("at %v, want %v", log.at, want)
		}
		if len(told) != len(log.upTo) {
			t.Fatalf("told of %v", told)
		}
	})
}

// TestAckerFailure: what the timer could not write is told to who adds next; nothing is acknowledged after it.
func TestAckerFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &ackLog{start: time.Now()}
		a := acker{stream: log}
		if err := errors.Join(a.add(envelopes(1, 1, 10)), a.add(envelopes(2, 1, 10))); err != nil {
			t.Fatal(err)
		}
		cut := errors.New("cut")
		a.mu.Lock()
		log.err = cut
		a.mu.Unlock()
		time.Sleep(time.Second)
		if err := a.add(envelopes(3, 1, 10)); !errors.Is(err, cut) {
			t.Fatalf("%v, want %v", err, cut)
		}
		a.stop()
		if want := []uint64{1, 2}; !slices.Equal(log.upTo, want) {
			t.Fatalf("acknowledged %v, want %v", log.upTo, want)
		}
	})
}
