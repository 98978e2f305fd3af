package hotlog

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
	"quicnprotochat/store/internal/idset"
)

// byHand are options of a store that retires only what the test does.
func byHand(fs vfs.FS, c *clock) Options {
	o := small("/store")
	o.FS, o.Clock, o.LogBytes, o.HotRecords = fs, c.now, 1<<30, 1<<30
	return o
}

// roll fills the segment in use, and returns its number.
func roll(t *testing.T, s *Store) uint64 {
	t.Helper()
	number := s.log.Segment()
	q := store.QueueID{Owner: benchOwner(1 << 20)}
	for n := number << 20; s.log.Segment() == number; n++ {
		m := testMessage(q, n)
		m.Payload = make([]byte, 4000)
		put(t, s, m)
	}
	return number
}

// again expects a message to be known under a number.
func again(t *testing.T, s *Store, m store.Message, seq uint64, when string) {
	t.Helper()
	r, err := s.Enqueue(t.Context(), []store.Message{m})
	if want := (store.Result{Status: store.Duplicate, Seq: seq}); err != nil || r[0] != want {
		t.Errorf("%s: %+v, %v, want %+v", when, r, err, want)
	}
}

func acknowledge(t *testing.T, s *Store, q store.QueueID, seq uint64) {
	t.Helper()
	if err := s.Acknowledge(t.Context(), []store.Cursor{{Queue: q, Seq: seq}}); err != nil {
		t.Fatal(err)
	}
}

// TestStoredAnew: an id that is stored once more after its time is known under its later number, whatever of the two segments was retired, merged or replayed.
func TestStoredAnew(t *testing.T) {
	c := newClock()
	c.ms.Store(c.ms.Load() / bucketWidth.Milliseconds() * bucketWidth.Milliseconds()) // a bucket begins
	o := byHand(vfs.NewMem(), c)
	s := mustOpen(t, o)
	q := store.QueueID{Owner: benchOwner(1)}
	m := testMessage(q, 1)
	put(t, s, m)
	again(t, s, m, 1, "in the log")
	acknowledge(t, s, q, 1)
	again(t, s, m, 1, "acknowledged")
	roll(t, s)
	c.pass(store.IDRetention)
	if seq := put(t, s, m); seq != 2 {
		t.Fatalf("stored anew as %d", seq)
	}
	again(t, s, m, 2, "in two segments")
	acknowledge(t, s, q, 2)
	c.pass(time.Hour)
	if err := s.retirer.retire(); err != nil {
		t.Fatal(err)
	}
	again(t, s, m, 2, "in a run and a segment")
	roll(t, s)
	c.pass(store.IDRetention - time.Hour)
	again(t, s, m, 2, "when the window alone would not know it any more")
	mustClose(t, s)
	s = mustOpen(t, o)
	again(t, s, m, 2, "replayed")
	if err := s.retirer.retire(); err != nil {
		t.Fatal(err)
	}
	again(t, s, m, 2, "in two runs")
	mustClose(t, s)
	s = mustOpen(t, o)
	defer mustClose(t, s)
	again(t, s, m, 2, "at the end")
}

// TestKnownWhileRetired: at each step of the way from the window to a run an id is known, also by who looked it up before the run was there and decides after the window
// has forgotten it; and if the machine crashes when it is in both.
func TestKnownWhileRetired(t *testing.T) {
	c, mem := newClock(), vfs.NewCrashableMem()
	o := byHand(mem, c)
	s := mustOpen(t, o)
	q := store.QueueID{Owner: benchOwner(1)}
	m := testMessage(q, 1)
	put(t, s, m)
	number := roll(t, s)
	take := &takeOp{number: number}
	if err := s.retirer.do(take); err != nil {
		t.Fatal(err)
	}
	again(t, s, m, 1, "taken")
	early := &enqueueOp{messages: []store.Message{m}, results: make([]store.Result, 1)}
	defer early.release()
	if err := early.prepare(s); err != nil {
		t.Fatal(err)
	}
	all := sortIDs(take.segment.ids)
	if err := s.ids.runs.Add(bucketOf(c.ms.Load()), number, len(all), yielding(all)); err != nil {
		t.Fatal(err)
	}
	again(t, s, m, 1, "in both")
	crashed := mem.CrashClone(vfs.CrashCloneCfg{})
	before := s.ids.runs.Stats().Entries
	if err := s.retirer.moveIDs(take.segment); err != nil { // adds the run once more, as after an error
		t.Fatal(err)
	}
	if n := s.ids.runs.Stats().Entries; n != before || take.segment.ids != nil {
		t.Errorf("%d ids in runs, were %d; %d in the segment", n, before, len(take.segment.ids))
	}
	if err := s.do(t.Context(), early); err != nil || !early.outdated() {
		t.Errorf("who looked before the run was there: %v, %+v", err, early.results)
	}
	again(t, s, m, 1, "forgotten")
	mustClose(t, s)

	o.FS = crashed
	s = mustOpen(t, o)
	defer mustClose(t, s)
	again(t, s, m, 1, "after the crash")
	if err := s.retirer.retire(); err != nil {
		t.Fatal(err)
	}
	if n := s.ids.runs.Stats().Entries; n != before {
		t.Errorf("%d ids in runs, want %d", n, before)
	}
	again(t, s, m, 1, "retired after the crash")
}

// TestOneAtATime: the log is not cut shorter than asked, however often the retirer is told that it is too long.
func TestOneAtATime(t *testing.T) {
	o := small("/store")
	o.FS, o.LogBytes = vfs.NewMem(), 3*o.SegmentBytes
	s := mustOpen(t, o)
	defer mustClose(t, s)
	for s.log.Segment() < 10 {
		roll(t, s)
		for range 3 { // when the channel takes the last of three, what the first led to is done
			s.retirer.kick <- struct{}{}
		}
		if n := s.log.Segment() - s.log.Oldest() + 1; n != min(3, s.log.Segment()) {
			t.Fatalf("%d segments left of %d", n, s.log.Segment())
		}
	}
}

func TestSortIDs(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{0, 1, 2, 511, 512, 1024, 100_000} {
		for _, even := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d/even=%v", n, even), func(t *testing.T) {
				ids := make(map[name]uint64)
				var want []idset.Entry
				for range n {
					var id name
					for i := range id {
						if even || i > 12 {
							id[i] = byte(r.Uint32())
						}
					}
					seq := r.Uint64N(1<<48-1) + 1
					if ids[id] == 0 {
						want = append(want, idset.Entry{ID: id, Seq: seq})
						ids[id] = seq
					}
				}
				slices.SortFunc(want, func(a, b idset.Entry) int {
					return cmp.Compare(string(a.ID[:]), string(b.ID[:]))
				})
				if got := sortIDs(ids); !slices.Equal(got, want) || !slices.Equal(slices.Collect(yielding(got)), want) {
					t.Error("not in order")
				}
			})
		}
	}
}
