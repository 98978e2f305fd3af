package load

import (
	"strings"
	"testing"
)

// deliver has a tracker see messages of one sender; each is its number and its place.
func deliver(t *tracker, messages ...[2]uint64) {
	for _, m := range messages {
		if t.place(m[1]) {
			t.take(stamp{sender: 1, number: m[0]}, m[1])
		}
	}
}

func storedOf(messages ...[2]uint64) (d digest) {
	for _, m := range messages {
		d.add(1, m[0], m[1])
	}
	return d
}

func TestTracker(t *testing.T) {
	all := [][2]uint64{{1, 1}, {2, 2}, {3, 3}}
	for name, c := range map[string]struct {
		got     [][2]uint64
		late    bool
		repeats *repeats
		want    string // in a violation; empty: none
	}{
		"all":                                  {got: all},
		"the last is lost":                     {got: all[:2], want: "2 messages came, 3 were acknowledged"},
		"the first is lost":                    {got: all[1:], want: "2 messages came"},
		"one in the middle is lost":            {got: [][2]uint64{{1, 1}, {3, 3}}, want: "lost: q, receiver 7: place 3 after 1"},
		"doubled":                              {got: [][2]uint64{{1, 1}, {2, 2}, {2, 2}, {3, 3}}, want: "doubled: q, receiver 7: place 2 after 2"},
		"doubled at a new place":               {got: [][2]uint64{{1, 1}, {2, 2}, {2, 3}}, want: "out of order: q, receiver 7: message 2 of sender 1 after 2"},
		"comes again over a new connection":    {got: [][2]uint64{{1, 1}, {2, 2}, {2, 2}, {3, 3}}, repeats: &repeats{2, 2}},
		"comes a third time":                   {got: [][2]uint64{{1, 1}, {2, 2}, {2, 2}, {2, 2}, {3, 3}}, repeats: &repeats{2, 2}, want: "place 2 after 2"},
		"comes again after it is acknowledged": {got: [][2]uint64{{1, 1}, {2, 2}, {1, 1}, {3, 3}}, repeats: &repeats{2, 2}, want: "place 1 after 2"},
		"comes again behind a new one":         {got: [][2]uint64{{1, 1}, {2, 2}, {3, 3}, {2, 2}}, repeats: &repeats{1, 2}, want: "place 2 after 3"},
		"out of order":                         {got: [][2]uint64{{2, 1}, {1, 2}, {3, 3}}, want: "out of order"},
		"another than was stored":              {got: [][2]uint64{{1, 1}, {2, 2}, {4, 3}}, want: "but others"},
		"late":                                 {got: all[1:], late: true},
		"late, and the last is lost":           {got: all[1:2], late: true, want: "came late"},
	} {
		var f faults
		tr := newTracker("q", 7, &f)
		tr.late = c.late
		for _, m := range c.got {
			if c.repeats != nil && tr.seq == 2 { // the connection is a new one then
				tr.again, c.repeats = *c.repeats, nil
			}
			deliver(tr, m)
		}
		tr.end(storedOf(all...))
		n, told := f.list()
		if (n > 0) != (c.want != "") || !strings.Contains(strings.Join(told, "\n"), c.want) {
			t.Errorf("%s: %d violations: %q, want %q", name, n, told, c.want)
		}
	}
}

func TestDone(t *testing.T) {
	var f faults
	tr := newTracker("q", 1, &f)
	stored := storedOf([2]uint64{1, 1}, [2]uint64{2, 2})
	if !tr.done(digest{}) || tr.done(stored) {
		t.Error("nothing came, and that is no less than nothing")
	}
	deliver(tr, [2]uint64{1, 1}, [2]uint64{2, 2})
	if !tr.done(stored) {
		t.Error("all came")
	}
}

func TestSameOrder(t *testing.T) {
	var f faults
	a, b, c := newTracker("q", 1, &f), newTracker("q", 2, &f), newTracker("q", 3, &f)
	c.late = true
	for i, s := range []uint32{1, 2} {
		a.take(stamp{sender: s, number: 1}, uint64(i+1))
		b.take(stamp{sender: 3 - s, number: 1}, uint64(i+1))
	}
	sameOrder([]*tracker{a, c}, &f)
	if n, told := f.list(); n != 0 {
		t.Error(told)
	}
	sameOrder([]*tracker{a, b, c}, &f)
	if n, told := f.list(); n != 1 || !strings.Contains(told[0], "different orders") {
		t.Error(n, told)
	}
}

func TestFaultsAreCounted(t *testing.T) {
	var f faults
	for range 3 * maxFaults {
		f.add("x")
	}
	if n, told := f.list(); n != 3*maxFaults || len(told) != maxFaults {
		t.Error(n, len(told))
	}
}

func TestMergeStored(t *testing.T) {
	a, b := storedOf([2]uint64{1, 1}, [2]uint64{3, 3}), storedOf([2]uint64{2, 2})
	m := mergeStored([]map[string]digest{{"q": a, "only": b}, {"q": b}, nil})
	if m["q"] != storedOf([2]uint64{1, 1}, [2]uint64{2, 2}, [2]uint64{3, 3}) || m["only"] != b || len(m) != 2 {
		t.Error(m)
	}
	if back := fromWire(toWire(m)); len(back) != 2 || back["q"] != m["q"] {
		t.Error(back)
	}
}

// TestUnwatched: what was stored where nobody was to read is a fault, for it may be lost.
func TestUnwatched(t *testing.T) {
	var f faults
	stored := map[string]digest{"a": {Count: 1}, "b": {Count: 2}, "c": {}}
	f.unwatched(stored, []*tracker{newTracker("a", 1, &f)})
	if n, told := f.list(); n != 1 || !strings.Contains(told[0], "lost: b: 2 messages") {
		t.Errorf("%d faults: %q", n, told)
	}
}

// TestReconnected: what was taken and not acknowledged may come once more, and no other.
func TestReconnected(t *testing.T) {
	var f faults
	tr := newTracker("q", 1, &f)
	if cursor := tr.reconnected(); cursor != 0 || tr.again.take(1) {
		t.Error("nothing came, and may come again")
	}
	for seq := uint64(1); seq <= 9; seq++ {
		tr.place(seq)
	}
	tr.acknowledged(4)
	tr.acknowledged(3)
	if cursor := tr.reconnected(); cursor != 4 || tr.again != (repeats{5, 9}) {
		t.Errorf("from %d on, again %v", cursor, tr.again)
	}
}

// TestPlaces: a message that came at another place of the queue than the service had answered is noticed, though nothing is lost or doubled: answers may have been exchanged.
func TestPlaces(t *testing.T) {
	var f faults
	tr := newTracker("q", 7, &f)
	deliver(tr, [2]uint64{1, 1})
	deliver(tr, [2]uint64{2, 2})
	tr.end(storedOf([2]uint64{1, 2}, [2]uint64{2, 1}))
	if n, told := f.list(); n != 1 || !strings.Contains(told[0], "at other places") {
		t.Errorf("%d violations: %q", n, told)
	}
}
