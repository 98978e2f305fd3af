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
	pushStream
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
		a := newAcker(log, &opened{messages: 4 * ackMessages, bytes: 4 * ackBytes}, func(_ Queue, upTo uint64) { told = append(told, upTo) })
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
		a := newAcker(log, &opened{messages: 1024, bytes: 4 << 20}, nil)
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

// TestAckerWindow: acknowledgements do not gather beyond half of what the server grants.
func TestAckerWindow(t *testing.T) {
	for _, c := range []struct {
		messages, bytes uint32
		want            []uint64 // of ten messages of ten bytes
	}{
		{1024, 4 << 20, []uint64{1, 10}}, {1, 4 << 20, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}}, {3, 4 << 20, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
		{8, 4 << 20, []uint64{1, 5, 9, 10}}, {1024, 60, []uint64{1, 4, 7, 10}}, {0, 0, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
	} {
		synctest.Test(t, func(t *testing.T) {
			log := &ackLog{start: time.Now()}
			a := newAcker(log, &opened{messages: c.messages, bytes: c.bytes}, nil)
			for seq := uint64(1); seq <= 10; seq++ {
				if err := a.add(envelopes(seq, 1, 10)); err != nil {
					t.Fatal(err)
				}
			}
			a.stop()
			if !slices.Equal(log.upTo, c.want) {
				t.Errorf("window of %d messages and %d bytes: acknowledged %v, want %v", c.messages, c.bytes, log.upTo, c.want)
			}
		})
	}
}
