package hotlog

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

// epochs does commits on a group of one until there are n: the commit of epoch e adds member e-6, removes the one before, and welcomes it.
func epochs(s *Store, n uint64, done *atomic.Uint64) error {
	ctx := context.Background()
	for e := uint64(7); e < 7+n; e++ {
		c := testCommit("g", 0, e)
		added := int(e - 6)
		c.Added = []store.Identity{benchOwner(added)}
		if added > 1 {
			c.Removed = []store.Identity{benchOwner(added - 1)}
		}
		c.Welcomes = []store.Message{testMessage(store.QueueID{Owner: benchOwner(added)}, e)}
		r, err := s.Commit(ctx, c)
		if err != nil || r.Status != store.Stored {
			return fmt.Errorf("epoch %d: %+v, %w", e, r, err)
		}
		done.Store(e + 1)
	}
	return nil
}

// posts has somebody fill the log beside the commits, and acknowledge what it reads.
func posts(s *Store, stop *atomic.Bool) error {
	ctx := context.Background()
	for n := uint64(1); !stop.Load(); n++ {
		r, err := s.Append(ctx, []store.Post{testPost("g", 0, 1<<20+n)})
		if err != nil || r[0].Status != store.Stored {
			return fmt.Errorf("post %d: %+v, %w", n, r, err)
		}
		if n%3 == 0 {
			if err := s.Acknowledge(ctx, []store.Cursor{{Queue: shared(0, "g"), Seq: r[0].Seq - 1}}); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestGroupCrash crashes the machine at any time while a group is committed to, posted to and retired: commit, Welcome, roster and GroupInfo are there
// together or not at all, and all that was answered is.
func TestGroupCrash(t *testing.T) {
	for seed := range uint64(crashes(t)) {
		percent := []int{0, 50, 100}[seed%3]
		t.Run(fmt.Sprintf("%d percent/%d", percent, seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 5))
			mem := vfs.NewCrashableMem()
			o := small("/store")
			o.FS = mem
			s := mustOpen(t, o)
			newGroup(t, s, "g", 1)
			var done atomic.Uint64
			var stop atomic.Bool
			var wg sync.WaitGroup
			wg.Go(func() {
				if err := epochs(s, 400, &done); err != nil {
					t.Error(err)
				}
				stop.Store(true)
			})
			wg.Go(func() {
				if err := posts(s, &stop); err != nil {
					t.Error(err)
				}
			})
			for at := 7 + r.Uint64N(390); done.Load() < at && !stop.Load(); {
				if _, err := s.Group(t.Context(), "g"); err != nil {
					t.Fatal(err)
				}
			}
			sure := max(done.Load(), 7)
			o.FS = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: r})
			stop.Store(true)
			wg.Wait()
			mustClose(t, s)
			if m := inspect(t, o); m.Damaged != 0 {
				t.Errorf("a crash is no damage: %q", m.Damage)
			}
			s = mustOpen(t, o)
			checkEpochs(t, s, sure)
			mustClose(t, s)
		})
	}
}

func checkEpochs(t *testing.T, s *Store, sure uint64) {
	g := describe(t, s, "g")
	if g.Epoch < sure || string(g.Info) != fmt.Sprint("info ", g.Epoch) {
		t.Fatalf("in epoch %d with %q, %d was answered", g.Epoch, g.Info, sure)
	}
	members, _, err := s.Members(t.Context(), "g", store.Identity{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	want := map[store.Identity]bool{benchOwner(0): true}
	if g.Epoch > 7 {
		want[benchOwner(int(g.Epoch-7))] = true
	}
	if len(members) != len(want) || g.Members != len(want) {
		t.Errorf("%d members in epoch %d, and %d said", len(members), g.Epoch, g.Members)
	}
	for _, m := range members {
		if !want[m.Identity] {
			t.Errorf("%x is a member in epoch %d", m.Identity[:4], g.Epoch)
		}
	}
	for e := uint64(7); e < 7+400; e++ {
		checkEpoch(t, s, e, e < g.Epoch)
	}
	c := testCommit("g", 0, g.Epoch)
	mustCommit(t, s, c, g.Last+1)
}

// checkEpoch looks for what the commit of an epoch did.
func checkEpoch(t *testing.T, s *Store, epoch uint64, happened bool) {
	added := int(epoch - 6)
	p, err := s.Read(t.Context(), store.QueueID{Owner: benchOwner(added)}, 0, 9, 9000)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(p.Messages) == 1 && binary.BigEndian.Uint64(p.Messages[0].Payload) == epoch; got != happened {
		t.Errorf("epoch %d: happened %v, Welcomes %d", epoch, happened, len(p.Messages))
	}
	if !happened {
		return
	}
	r, err := s.Commit(t.Context(), testCommit("g", 0, epoch))
	if err != nil || r.Status != store.Duplicate {
		t.Fatalf("commit of epoch %d again: %+v, %v", epoch, r, err)
	}
	p, err = s.Read(t.Context(), shared(added, "g"), 0, 10_000, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range p.Messages {
		if d.Seq != r.Seq+uint64(i)+1 {
			t.Fatalf("member of epoch %d reads %d at %d, it joined at %d", epoch, d.Seq, i, r.Seq)
		}
	}
}
