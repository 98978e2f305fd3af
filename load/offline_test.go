package load

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"quicnprotochat/client"
	"quicnprotochat/schemas"
)

func TestProgress(t *testing.T) {
	p := newProgress(1000)
	outcomes := make([]outcome, 100)
	for i := range outcomes {
		outcomes[i].status = schemas.EnqueueStatus_stored
	}
	outcomes[0].status = schemas.EnqueueStatus_quotaExceeded
	send := p.counts(func(context.Context, []message) (func() ([]outcome, error), error) {
		return func() ([]outcome, error) { return outcomes, nil }, nil
	})
	for range 10 {
		wait, err := send(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = wait()
	}
	if p.done != 990 || len(p.marks) != 9 {
		t.Fatalf("%d done, %d tenths", p.done, len(p.marks))
	}
	r := testRun(t)
	if p.tell(r, "enqueue", "_1", Cost{}); len(r.values) != 0 {
		t.Fatalf("told of what is not complete: %v", r.values)
	}
	p.add(10)
	for i := range p.marks {
		p.marks[i] = p.start + int64(i+1)*1e9 // a tenth a second
	}
	for i := 5; i < 10; i++ {
		p.marks[i] = p.marks[4] + int64(i-4)*2e9 // the second half takes twice as long
	}
	p.tell(r, "enqueue", "_1", Cost{OK: true, CPU: 0.001})
	for name, want := range map[string]float64{
		"enqueue_per_s_1/01": 100, "enqueue_per_s_1/10": 50, "enqueue_second_half_to_first_1": 0.5, "enqueue_cpu_us_each_1": 1, "enqueue_per_s_1": 1000. / 15,
	} {
		if got := r.values[name]; got < want*0.999 || got > want*1.001 {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// TestBounded: senders that share a number of messages send that many, and all end.
func TestBounded(t *testing.T) {
	var left, sent atomic.Int64
	left.Store(1001)
	done := make(chan struct{})
	const senders = 3
	for range senders {
		go func() {
			ctx, enough := context.WithCancel(t.Context())
			b := &bounded{pace: newClosed(10), left: &left, enough: enough}
			for ctx.Err() == nil {
				n := len(b.next(ctx, 7))
				sent.Add(int64(n))
				b.free(n)
			}
			done <- struct{}{}
		}()
	}
	for range senders {
		<-done
	}
	if sent.Load() != 1001 {
		t.Fatalf("%d sent", sent.Load())
	}
}

// TestVisitFinds: what a recipient gets is compared with what was stored, and with what it got before.
func TestVisitFinds(t *testing.T) {
	for _, test := range []struct {
		name    string
		seqs    []uint64
		numbers []uint64
		fault   string
	}{
		{"all", []uint64{3, 4}, []uint64{1, 2}, ""},
		{"a hole", []uint64{4, 5}, []uint64{1, 2}, "lost"},
		{"one of the round before", []uint64{2, 3, 4}, []uint64{1, 1, 2}, "doubled"},
		{"another order", []uint64{3, 4}, []uint64{2, 1}, "out of order"},
		{"one too few", []uint64{3}, []uint64{1}, "1 messages came, 2"},
		{"another", []uint64{3, 4}, []uint64{1, 7}, "but others"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := testRun(t)
			r.cfg.PerClient = 1
			var stored digest
			stored.add(9, 1, 3)
			stored.add(9, 2, 4)
			tr := newTracker("q", 1, &r.faults)
			tr.seq = 2
			v := &visit{b: &backlog{r: r}, stored: map[string]digest{"q": stored}, progress: newProgress(2), waiting: 1, trackers: map[client.Queue]*tracker{{}: tr}}
			ctx, over := context.WithCancelCause(t.Context())
			v.over = over
			var batch []client.Envelope
			for i, seq := range test.seqs {
				body := make([]byte, stampSize)
				stamp{9, test.numbers[i], 1}.put(body)
				batch = append(batch, client.Envelope{Seq: seq, Payload: body})
			}
			if err := v.handle(ctx, client.Queue{}, batch); err != nil {
				t.Fatal(err)
			}
			tr.end(stored)
			n, text := r.faults.list()
			if test.fault == "" {
				if n != 0 || !errors.Is(context.Cause(ctx), errEmptied) {
					t.Fatalf("faults %q, ended with %v", text, context.Cause(ctx))
				}
			} else if !slices.ContainsFunc(text, func(s string) bool { return strings.Contains(s, test.fault) }) {
				t.Fatalf("faults %q, want %q", text, test.fault)
			}
			if err := v.handle(ctx, client.Queue{Group: "none"}, batch); err != nil || n+1 != r.faults.count {
				t.Errorf("a queue of nobody: %v, %d faults after %d", err, r.faults.count, n)
			}
		})
	}
}

// testRun is a run without clients, which measures from now on.
func testRun(t *testing.T) *run {
	t.Helper()
	cfg := Defaults()
	cfg.Scenario = "relay"
	r, err := newRun(cfg, lead{})
	if err != nil {
		t.Fatal(err)
	}
	r.from.Store(now() - int64(time.Second))
	r.to.Store(now() + int64(time.Hour))
	return r
}
