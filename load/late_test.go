package load

import (
	"strings"
	"testing"

	"quicnprotochat/client"
	"quicnprotochat/mls"
)

// A receiver that came late is to have each place from its coming until it went, or until the end.
func TestLateTracker(t *testing.T) {
	for _, c := range []struct {
		name   string
		from   uint64
		until  uint64
		places []uint64
		last   uint64 // that was stored
		fault  string // empty: none
	}{
		{"all", 4, 0, []uint64{5, 6, 7}, 7, ""},
		{"a commit after the last message", 4, 0, []uint64{5, 6, 7}, 6, ""},
		{"nothing came after it", 4, 0, nil, 3, ""},
		{"went before the end", 4, 6, []uint64{5, 6}, 9, ""},
		{"the first is missing", 4, 0, []uint64{6, 7}, 7, "the first that it got is 6"},
		{"one between is missing", 4, 0, []uint64{5, 7}, 7, "place 7 after 5"},
		{"the last is missing", 4, 0, []uint64{5, 6}, 7, "the last place is 6 of 7"},
		{"all are missing", 4, 0, nil, 7, "the last place is 0 of 7"},
		{"the end of its time is missing", 4, 6, []uint64{5}, 9, "the last place is 5 of 6"},
		{"one came twice", 4, 0, []uint64{5, 5, 6, 7}, 7, "doubled"},
	} {
		var f faults
		tr := newTracker("q", 1, &f)
		tr.late = true
		for _, p := range c.places {
			tr.place(p)
		}
		tr.open(c.from)
		if c.until != 0 {
			tr.close(c.until)
		}
		stored := digest{Count: 1, Last: c.last}
		missing := strings.HasPrefix(c.fault, "the last place")
		if done := tr.done(stored); done == missing {
			t.Errorf("%s: done is %v", c.name, done)
		}
		tr.end(stored)
		n, text := f.list()
		switch {
		case c.fault == "" && n > 0:
			t.Errorf("%s: %q", c.name, text)
		case c.fault != "" && (n != 1 || !strings.Contains(text[0], c.fault)):
			t.Errorf("%s: %q, want one with %q", c.name, text, c.fault)
		}
	}
}

// meet makes members of one group that never connect.
func meet(t *testing.T, n int) []*member {
	t.Helper()
	cfg := Defaults()
	cfg.Scenario, cfg.Addr = "e2ee", "127.0.0.1:1"
	r, err := newRun(cfg, lead{})
	if err != nil {
		t.Fatal(err)
	}
	out := make([]*member, n)
	for i := range out {
		if out[i], err = r.newMember(i, 0, false); err != nil {
			t.Fatal(err)
		}
		out[i].link.r, out[i].link.ready = r, make(chan struct{})
	}
	return out
}

// What a member has from itself, from another, again, and unreadable.
func TestMemberTakes(t *testing.T) {
	m := meet(t, 1)[0]
	r := m.r
	g, err := mls.NewGroup([]byte(m.queue.Group), m.mls, mls.GroupOptions{Policy: policy()})
	if err != nil {
		t.Fatal(err)
	}
	m.enter(g)
	s := stamp{sender: uint32(m.who), number: 1, intended: now()}
	body := make([]byte, 64)
	s.put(body)
	posts, err := m.seal([]message{{id: client.MessageID{1}, number: 1, intended: s.intended, payload: body}})
	if err != nil {
		t.Fatal(err)
	}
	batch := []client.Envelope{{Seq: 1, ID: posts[0].ID, Payload: posts[0].Payload}}
	for range 2 {
		if err := m.handle(t.Context(), m.queue, batch); err != nil {
			t.Fatal(err)
		}
	}
	if n, text := r.faults.list(); n != 1 || !strings.Contains(text[0], "doubled") {
		t.Fatalf("the same twice over one connection: %q", text)
	}
	m.again = repeats{1, 1} // as for one that is removed, and has acknowledged nothing
	if err := m.handle(t.Context(), m.queue, batch); err != nil {
		t.Fatal(err)
	}
	if n, _ := r.faults.list(); n != 1 || r.redelivered.Load() != 2 || r.delivered.all.Load() != 1 {
		t.Fatalf("again over a new connection: %d faults, %d came again, %d delivered", n, r.redelivered.Load(), r.delivered.all.Load())
	}
	if err := m.handle(t.Context(), m.queue, []client.Envelope{{Seq: 2, ID: client.MessageID{2}, Payload: []byte("no message")}}); err != nil {
		t.Fatal(err)
	}
	if n, text := r.faults.list(); n != 2 || !strings.Contains(text[1], "cannot read place 2") {
		t.Fatalf("unreadable: %q", text)
	}
}
