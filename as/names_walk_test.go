package as_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"quicnprotochat/as"
	"quicnprotochat/names"
	"quicnprotochat/quicrpc"
	"quicnprotochat/store"
	"quicnprotochat/store/hotlog"
)

// failing is a store that stops writing records at some write, which may be done or not, and goes on when it is mended.
type failing struct {
	store.Store
	left int  // writes until it stops; below 0: it does not
	done bool // the last one is done, and answered with an error
}

func (s *failing) PutRecord(ctx context.Context, key string, value []byte, version uint64) (uint64, error) {
	switch {
	case s.left < 0:
		return s.Store.PutRecord(ctx, key, value, version)
	case s.left > 0:
		s.left--
		return s.Store.PutRecord(ctx, key, value, version)
	case s.done:
		s.done = false
		if _, err := s.Store.PutRecord(ctx, key, value, version); err != nil {
			return 0, err
		}
	}
	return 0, store.ErrFull
}

// held is what the model says of a name.
type held struct {
	version int
	by      int // number of the person
	revoked bool
}

// walk is a service on a store on disk, beside the simplest thing that could be right.
type walk struct {
	t       *testing.T
	options hotlog.Options
	disk    store.Store
	failing *failing
	fixture *fixture
	people  map[int]*person
	names   map[string]held
	client  map[int]int
	claimed map[int]int
	changes int
}

const walkMaxNames = 3

func (w *walk) open(r *rapid.T) {
	s, err := hotlog.Open(w.options)
	if err != nil {
		r.Fatal(err)
	}
	w.disk = s
	w.serve()
}

// serve begins a service that has nothing in memory.
func (w *walk) serve() {
	w.failing = &failing{Store: w.disk, left: -1}
	w.fixture = &fixture{t: w.t, now: time.Unix(1_750_000_000, 0)}
	w.fixture.Service = as.New(as.Config{Store: w.failing, Clock: w.fixture.clock, Limits: as.Limits{
		MaxNames: walkMaxNames, NameChanges: as.Rate{Max: -1, Per: 1}, AllNameChanges: as.Rate{Max: -1, Per: 1},
	}})
	for _, p := range w.people {
		p.as.Release()
	}
	w.people = map[int]*person{}
	for n := range 5 {
		w.people[n] = w.fixture.person(byte(n + 1))
	}
}

func (w *walk) clientOf(n int) int {
	if c, ok := w.client[n]; ok {
		return c
	}
	return n
}

// expect is what the model says to a change: the state after it, or an error.
func (w *walk) expect(kind names.Kind, name string, caller, to int) (held, error) {
	h := w.names[name]
	switch {
	case kind != names.Claim && h.version == 0:
		return h, quicrpc.ErrNotFound
	case kind == names.Rotate && caller != h.by && caller != to:
		return h, quicrpc.ErrNotAuthorized
	case kind == names.Rotate && h.by == to:
		return h, quicrpc.ErrInvalidArgument
	case h.revoked, kind == names.Claim && h.version > 0:
		return h, quicrpc.ErrExists
	}
	h.version++
	switch kind {
	case names.Claim:
		if w.claimed[w.clientOf(to)] >= walkMaxNames {
			return h, quicrpc.ErrQuotaExceeded
		}
	case names.Rotate:
		if c, known := w.client[to]; known && c != w.clientOf(h.by) {
			return h, quicrpc.ErrExists
		}
	case names.Revoke:
		h.revoked = true
		return h, nil
	}
	h.by = to
	return h, nil
}

func (w *walk) happened(kind names.Kind, name string, to held) {
	switch kind {
	case names.Claim:
		w.client[to.by] = w.clientOf(to.by)
		w.claimed[w.clientOf(to.by)]++
	case names.Rotate:
		w.client[to.by] = w.clientOf(w.names[name].by)
	}
	w.names[name] = to
	w.changes++
}

// change makes one of caller's, with all signatures right.
func (w *walk) change(r *rapid.T) {
	kind := rapid.SampledFrom([]names.Kind{names.Claim, names.Claim, names.Rotate, names.Rotate, names.Revoke}).Draw(r, "kind")
	name := rapid.SampledFrom([]string{"a", "b", "a.b", "c"}).Draw(r, "name")
	who := rapid.IntRange(0, 4)
	caller, to, before := who.Draw(r, "caller"), who.Draw(r, "to"), w.names[name]
	if kind == names.Claim {
		to = caller
	}
	want, wantErr := w.expect(kind, name, caller, to)
	p := w.people[caller]
	var key names.Key
	if kind != names.Revoke {
		key = names.Key(w.people[to].key)
	}
	c := p.next(kind, name, key)
	holder := w.people[before.by].private()
	var err error
	if rapid.IntRange(0, 2).Draw(r, "fails") == 0 {
		w.failing.left, w.failing.done = rapid.IntRange(0, 5).Draw(r, "writes"), rapid.Bool().Draw(r, "done")
	}
	switch kind {
	case names.Claim:
		c.Version, c.Old = 1, names.Key{}
		_, err = p.claimName(name, c.Sign(p.private()))
	case names.Rotate:
		_, err = p.rotateName(c, c.Sign(holder), c.Sign(w.people[to].private()))
	case names.Revoke:
		_, err = p.revokeName(c, c.Sign(holder))
	}
	w.failing.left = -1
	again := kind == names.Claim && before == held{version: 1, by: caller}
	switch {
	case errors.Is(err, quicrpc.ErrUnavailable) && wantErr == nil:
		// Whether it happened can be seen; there is nothing between.
		status, e := p.resolve(name)
		if e != nil {
			r.Fatal(e)
		}
		if status.version == uint64(want.version) {
			w.happened(kind, name, want)
		}
	case again && err == nil:
	case wantErr == nil && err == nil:
		w.happened(kind, name, want)
	case wantErr == nil || !errors.Is(err, wantErr):
		r.Fatalf("%v %q by %d to %d: %v, want %v", kind, name, caller, to, err, wantErr)
	}
}

// check compares all that the service tells.
func (w *walk) check(r *rapid.T) {
	a := audited(w.t, w.people[0])
	if n, _ := a.Head(); n != uint64(w.changes) {
		r.Fatalf("%d entries, want %d", n, w.changes)
	}
	for _, name := range []string{"a", "b", "a.b", "c", "never"} {
		h := w.names[name]
		status, err := w.people[1].resolve(name)
		got := fmt.Sprintf("%d %v %x", status.version, status.revoked, status.key)
		want := "0 false "
		if h.version > 0 {
			want = fmt.Sprintf("%d %v %x", h.version, h.revoked, w.people[h.by].key[:])
		}
		if err != nil || got != want {
			r.Fatalf("%q is %s, %v, want %s", name, got, err, want)
		}
		if s := a.Resolve(name); s.Version != uint64(h.version) || s.Revoked != h.revoked {
			r.Fatalf("the log says of %q %+v", name, s)
		}
		entries, more, err := w.people[2].history(name, 1, 256)
		if err != nil || more || len(entries) != h.version {
			r.Fatalf("%d changes of %q, more %v, %v, want %d", len(entries), name, more, err, h.version)
		}
	}
	for x, p := range w.people {
		for y, q := range w.people {
			want := w.clientOf(x) == w.clientOf(y)
			same, err := p.same(p.key[:], q.key[:])
			if err != nil || same != want || (a.Client(names.Key(p.key)) == a.Client(names.Key(q.key))) != want {
				r.Fatalf("%d and %d the same: %v, %v, want %v", x, y, same, err, want)
			}
		}
	}
}

// TestNamesWalk: at random, with writes that fail at any point, services that begin anew, and a store that is opened anew.
func TestNamesWalk(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := &walk{t: t, names: map[string]held{}, client: map[int]int{}, claimed: map[int]int{}}
		w.options = hotlog.Options{
			Dir: "/store", FS: vfs.NewMem(), SegmentBytes: 64 << 10, LogBytes: 128 << 10, PayloadCache: 32 << 10, Owners: 64, IDFilters: 1 << 20, TreeCache: 1 << 20,
		}
		w.open(r)
		defer func() { _ = w.disk.Close() }()
		r.Repeat(map[string]func(*rapid.T){
			"change": w.change,
			"serve anew": func(*rapid.T) {
				w.serve()
			},
			"open anew": func(r *rapid.T) {
				if rapid.IntRange(0, 4).Draw(r, "really") > 0 {
					return
				}
				if err := w.disk.Close(); err != nil {
					r.Fatal(err)
				}
				w.open(r)
			},
			"": w.check,
		})
	})
}
