package storetest

import (
	"testing"
	"time"

	"quicnprotochat/store"
)

// sweep sweeps, a little at a time, until nothing more is to be removed.
func (e *engine) sweep() (removed int) {
	e.Helper()
	const budget = 7
	for range 1_000_000 {
		r, err := e.Sweep(e.Context(), budget)
		if err != nil || r.Removed < 0 {
			e.Fatalf("sweep: %+v, %v", r, err)
		}
		if removed += r.Removed; !r.More {
			return removed
		}
	}
	e.Fatal("the sweep has no end")
	return 0
}

// testExpiry has messages in an inbox and in a log that end at different times. Those whose time is over are not read, whether swept or not.
func testExpiry(t *testing.T, e *engine) {
	e.start(store.Quota{})
	e.create("g", 1)
	lives := []time.Duration{time.Hour, time.Hour, 5 * time.Hour, time.Hour, 0, 40 * 24 * time.Hour, 1000 * 24 * time.Hour}
	for n, life := range lives {
		m, p := message(inbox(1), n), post("g", 1, n)
		if life > 0 {
			m.Expires = e.clock().Add(life)
			p.Expires = m.Expires
		}
		if r := e.enqueue(m); r.Status != store.Stored {
			t.Fatalf("%+v", r)
		}
		if r := e.postAs(p); r.Status != store.Stored {
			t.Fatalf("%+v", r)
		}
	}
	check := func(when string, numbers ...int) {
		t.Helper()
		for _, q := range []store.QueueID{inbox(1), shared(1, "g")} {
			p := e.read(q, 0)
			if p.Last != uint64(len(lives)) || p.More || len(p.Messages) != len(numbers) {
				t.Fatalf("%s, shared %v: %+v, want %v", when, q.Shared, p, numbers)
			}
			for i, m := range p.Messages {
				if number(m) != numbers[i] || m.Seq != uint64(numbers[i])+1 {
					t.Fatalf("%s, shared %v: number %d, want %d", when, q.Shared, number(m), numbers[i])
				}
			}
		}
	}
	for _, step := range []struct {
		pass time.Duration
		want []int
	}{
		{time.Hour - time.Second, []int{0, 1, 2, 3, 4, 5, 6}},
		{time.Second, []int{2, 4, 5, 6}},
		{5 * time.Hour, []int{4, 5, 6}},
		{30 * 24 * time.Hour, []int{5, 6}}, // what is given up when nothing is said
		{30 * 24 * time.Hour, []int{6}},
		{30 * 24 * time.Hour, nil}, // as late as can be said
	} {
		e.pass(step.pass)
		check("unswept", step.want...)
		e.again()
		check("unswept, after a restart", step.want...)
		e.sweep()
		check("swept", step.want...)
		e.again()
		check("swept, after a restart", step.want...)
	}
	if queues, _, err := e.Queues(t.Context(), inbox(1), 10); err != nil || len(queues) != 0 {
		t.Fatalf("all has expired and was swept: %+v, %v", queues, err)
	}
}

// testNumbersOnce empties queues in every way there is: a number never comes a second time.
func testNumbersOnce(t *testing.T, e *engine) {
	e.start(store.Quota{})
	e.create("g", 1)
	queues := []store.QueueID{inbox(1), {Owner: owner(1), Group: "g"}, shared(1, "g")}
	last := make([]uint64, len(queues))
	n := 0
	add := func(what string) {
		t.Helper()
		for i, q := range queues {
			for range 3 {
				n++
				var seq uint64
				if q.Shared {
					seq = e.post("g", 1, n)
				} else {
					seq = e.put(q, n)
				}
				if seq <= last[i] {
					t.Fatalf("%s: number %d after %d", what, seq, last[i])
				}
				last[i] = seq
			}
		}
	}
	drain := func() {
		for i, q := range queues {
			e.ack(q, last[i])
		}
	}
	add("at first")
	for _, step := range []struct {
		what string
		do   func()
	}{
		{"acknowledged", drain},
		{"acknowledged and swept", func() { drain(); e.pass(100 * 24 * time.Hour); e.sweep() }},
		{"expired and swept", func() { e.pass(100 * 24 * time.Hour); e.sweep() }},
		{"dropped", func() {
			for _, q := range queues[:2] {
				if err := e.Drop(t.Context(), q); err != nil {
					t.Fatal(err)
				}
			}
		}},
	} {
		step.do()
		add(step.what)
		step.do()
		e.again()
		add(step.what + ", after a restart")
		step.do()
		e.again()
		e.pass(100 * 24 * time.Hour)
		e.sweep()
		e.again()
		add(step.what + ", after a restart, a sweep and a restart")
	}
}
