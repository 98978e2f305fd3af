package hotlog

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

var _ store.Lines = (*Store)(nil)

// told is what a line said of a call.
type told struct {
	results []store.Result
	err     error
	times   atomic.Int32
	wg      *sync.WaitGroup
}

func (c *told) done(results []store.Result, err error) {
	if c.times.Add(1) == 1 {
		c.results, c.err = results, err
		c.wg.Done()
	}
}

// lineCalls are calls under way on lines.
type lineCalls struct {
	wg  sync.WaitGroup
	all []*told
}

func (c *lineCalls) enqueue(l store.Line, messages ...store.Message) *told {
	l.Enqueue(messages, c.next())
	return c.all[len(c.all)-1]
}

func (c *lineCalls) append(l store.Line, posts ...store.Post) *told {
	l.Append(posts, c.next())
	return c.all[len(c.all)-1]
}

func (c *lineCalls) next() func([]store.Result, error) {
	c.wg.Add(1)
	t := &told{wg: &c.wg}
	c.all = append(c.all, t)
	return t.done
}

// wait waits for all, which must each be told of once. The store must be closed by then, or in order, so that nothing more can be told.
func (c *lineCalls) wait(t *testing.T) {
	t.Helper()
	ended := make(chan struct{})
	go func() { c.wg.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("not all calls were told of")
	}
	for i, c := range c.all {
		if n := c.times.Load(); n != 1 {
			t.Errorf("call %d was told of %d times", i, n)
		}
	}
}

// TestLineToldBeforeClose: the store cannot be closed before done has returned, whoever calls it.
func TestLineToldBeforeClose(t *testing.T) {
	o := small("/store")
	o.FS = vfs.NewMem()
	s := mustOpen(t, o)
	if !s.use() {
		t.Fatal("closed")
	}
	called := false
	c := newLineCall(s, 0, func([]store.Result, error) {
		called = true
		if s.life.TryLock() {
			t.Error("Close would not wait")
			s.life.Unlock()
		}
	})
	c.end(nil)
	if !called {
		t.Error("not called")
	}
	mustClose(t, s)
}

// retireIDs makes every op that is prepared and not decided outdated.
type retireIDs struct{ epoch uint64 }

func (o *retireIDs) size() (int, int)    { return 0, 0 }
func (o *retireIDs) needs() (bool, bool) { return false, false }
func (o *retireIDs) decide(b *batch)     { b.d.window.retired = max(b.d.window.retired, o.epoch) }

// TestLineOutdated: ops that were looked up before ids left the log are done again, in order with those that come after them, and say the same.
func TestLineOutdated(t *testing.T) {
	for seed := range uint64(20) {
		o := small("/store")
		o.FS = vfs.NewMem()
		o.LogBytes = 1 << 30 // ids leave the log when this test says so
		s := mustOpen(t, o)
		newGroup(t, s, "g", 1)
		r := rand.New(rand.NewPCG(seed, 6))
		q := store.QueueID{Owner: benchOwner(1)}
		l, calls := s.NewLine(), lineCalls{}
		var want []store.Result
		places := map[[2]uint64]uint64{} // by kind and id
		last := [2]uint64{}
		again := 0
		for range 300 {
			kind, n := r.Uint64N(2), r.Uint64N(200)
			result := store.Result{Status: store.Duplicate, Seq: places[[2]uint64{kind, n}]}
			if result.Seq == 0 {
				last[kind]++
				result = store.Result{Status: store.Stored, Seq: last[kind]}
				places[[2]uint64{kind, n}] = last[kind]
			}
			want = append(want, result)
			// The decider must not decide between the preparation of the call and what makes it outdated.
			outdate := r.IntN(4) == 0
			if outdate {
				again++
				if err := s.do(t.Context(), &retireIDs{s.idEpoch.Load() + 1}); err != nil {
					t.Fatal(err)
				}
			}
			if kind == 0 {
				calls.enqueue(l, testMessage(q, n))
			} else {
				calls.append(l, testPost("g", 0, n))
			}
			if outdate {
				s.idEpoch.Add(1)
			}
		}
		calls.wait(t)
		for i, c := range calls.all {
			if c.err != nil || len(c.results) != 1 || c.results[0] != want[i] {
				t.Fatalf("seed %d: call %d: %v, %v, want %+v", seed, i, c.results, c.err, want[i])
			}
		}
		reads(t, s, shared(0, "g"), 1, last[1])
		if p, err := s.Read(t.Context(), q, 0, 1000, 1<<20); err != nil || p.Last != last[0] || uint64(len(p.Messages)) != last[0] {
			t.Fatalf("seed %d: %d messages up to %d, %v, want %d", seed, len(p.Messages), p.Last, err, last[0])
		}
		mustClose(t, s)
		if again == 0 {
			t.Fatal("nothing was outdated")
		}
	}
}

// lineLoad hands posts, messages and repetitions to a line, and checks what it says of each.
type lineLoad struct {
	n                    int
	line                 store.Line
	last, posts, lastSeq uint64
}

func (l *lineLoad) round(t *testing.T, r *rand.Rand) {
	q := store.QueueID{Owner: benchOwner(l.n)}
	var calls lineCalls
	var want []uint64 // 0: a post
	for len(want) < 100 {
		switch kind := r.IntN(4); {
		case kind == 0:
			l.last++
			calls.enqueue(l.line, testMessage(q, l.last))
			want = append(want, l.last)
		case kind == 1 && l.last > 0:
			old := 1 + r.Uint64N(l.last)
			calls.enqueue(l.line, testMessage(q, old))
			want = append(want, old)
		default:
			l.posts++
			calls.append(l.line, testPost("g", 0, uint64(l.n)<<32|l.posts))
			want = append(want, 0)
		}
	}
	calls.wait(t)
	for i, c := range calls.all {
		switch {
		case c.err != nil:
			t.Errorf("line %d: %v", l.n, c.err)
		case want[i] != 0 && c.results[0].Seq != want[i]:
			t.Errorf("line %d: %+v, want %d", l.n, c.results[0], want[i])
		case want[i] == 0 && (c.results[0].Status != store.Stored || c.results[0].Seq <= l.lastSeq):
			t.Errorf("line %d: post %+v after %d", l.n, c.results[0], l.lastSeq)
		case want[i] == 0:
			l.lastSeq = c.results[0].Seq
		}
	}
}

// TestLineUnderRetirement: lines go on in order while the log is retired all the time, and ids that left it are still known.
func TestLineUnderRetirement(t *testing.T) {
	s := mustOpen(t, small(t.TempDir()))
	newGroup(t, s, "g", 1)
	var wg sync.WaitGroup
	for n := range 6 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(n), 7))
			l := &lineLoad{n: n, line: s.NewLine()}
			for rounds := 0; rounds < 300 && !t.Failed() && (rounds < 5 || s.Internals().Retired < 8); rounds++ {
				l.round(t, r)
			}
		})
	}
	wg.Wait()
	if n := s.Internals().Retired; n == 0 {
		t.Error("nothing was retired")
	}
	mustClose(t, s)
}

// TestLineFailure: after an error of the disk each call is told of once, with the error unless it was durable before; what is handed over later too, and Close ends.
func TestLineFailure(t *testing.T) {
	for _, what := range []string{"sync", "write"} {
		for seed := range uint64(10) {
			t.Run(fmt.Sprint(what, seed), func(t *testing.T) {
				fs := &failingFS{FS: vfs.NewMem(), what: what, err: errors.New("disk on fire")}
				o := small("/store")
				o.FS = fs
				s := mustOpen(t, o)
				newGroup(t, s, "g", 1)
				q := store.QueueID{Owner: benchOwner(1)}
				l, calls := s.NewLine(), lineCalls{}
				r := rand.New(rand.NewPCG(seed, 8))
				fails := r.IntN(200)
				for n := range 200 {
					if n == fails {
						fs.armed.Store(true)
					}
					if n%3 == 0 { // some are outdated at that
						s.idEpoch.Add(1)
						_ = s.do(t.Context(), &retireIDs{s.idEpoch.Load() + uint64(r.IntN(2))})
					}
					calls.enqueue(l, testMessage(q, uint64(n+1)))
					calls.append(l, testPost("g", 0, uint64(n+1)))
				}
				s.idEpoch.Add(1) // what is behind can be done
				<-s.Failed()
				fs.armed.Store(false)
				calls.enqueue(l, testMessage(q, 1000))
				abandon(t, s)
				calls.wait(t)
				failed := [2]bool{}
				for i, c := range calls.all {
					if c.err != nil {
						failed[i%2] = true
					}
					switch {
					case c.err != nil && !errors.Is(c.err, store.ErrFailed):
						t.Errorf("call %d: %v", i, c.err)
					case c.err == nil && (failed[i%2] || c.results[0] != (store.Result{Status: store.Stored, Seq: uint64(i/2) + 1})):
						t.Errorf("call %d: %+v, one before it failed: %v", i, c.results[0], failed[i%2])
					}
				}
			})
		}
	}
}
