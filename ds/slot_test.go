package ds

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
)

// claimSlot claims the slot of testGroup, and returns what tells how that ended.
func (k *caller) claimSlot() <-chan error { return k.claimSlotUntil(context.Background()) }

func (k *caller) claimSlotUntil(ctx context.Context) <-chan error {
	done := make(chan error, 1)
	f, release := k.ds.ClaimCommit(ctx, func(p schemas.DeliveryService_claimCommit_Params) error { return p.SetGroupId([]byte(testGroup)) })
	go func() {
		defer release()
		_, err := f.Struct()
		done <- quicrpc.FromRPC(err)
	}()
	return done
}

func (k *caller) releaseSlot() error {
	f, release := k.ds.ReleaseCommit(context.Background(), func(p schemas.DeliveryService_releaseCommit_Params) error { return p.SetGroupId([]byte(testGroup)) })
	defer release()
	_, err := f.Struct()
	return quicrpc.FromRPC(err)
}

// racers are members 1, 2 and 3 of testGroup, in epoch 1; 2 and 3 have lost three races each.
func racers(t *testing.T) (f *fixture, a, b, c *caller) {
	f = start(Limits{})
	a, b, c = f.caller(t, 1), f.caller(t, 2), f.caller(t, 3)
	a.want(a.create(testGroup, 0, nil), nil)
	a.mustCommit(change{group: testGroup, id: 1, added: []byte{2, 3}}, 1)
	for i := range byte(3) {
		for _, k := range []*caller{b, c} {
			if out, err := k.commit(change{group: testGroup, id: 10*k.c.peer[0] + i}); err != nil || out.status != schemas.CommitStatus_wrongEpoch {
				t.Fatalf("a late commit: %+v, %v", out, err)
			}
		}
		if i < 2 {
			b.want(<-b.claimSlot(), quicrpc.ErrNotAuthorized)
		}
	}
	return f, a, b, c
}

// refused commits in an epoch and expects to be told that another goes first.
func (k *caller) refused(epoch uint64, id byte) {
	k.t.Helper()
	out, err := k.commit(change{group: testGroup, epoch: epoch, id: id})
	if err != nil || out.status != schemas.CommitStatus_slotTaken || out.epoch != epoch {
		k.t.Fatalf("%+v, %v", out, err)
	}
}

func waits(t *testing.T, done <-chan error) {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-done:
		t.Fatalf("did not wait: %v", err)
	default:
	}
}

// TestSlotInLine: who lost goes first, then the next in line, and then all again.
func TestSlotInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, a, b, c := racers(t)
		defer f.Close()
		b.want(<-b.claimSlot(), nil)
		b.want(<-b.claimSlot(), nil) // it has it
		second := c.claimSlot()
		waits(t, second)
		a.refused(1, 40)
		c.refused(1, 41)
		b.mustCommit(change{group: testGroup, epoch: 1, id: 42}, 2)
		c.want(<-second, nil)
		a.refused(2, 43)
		b.refused(2, 44)
		b.want(<-b.claimSlot(), quicrpc.ErrNotAuthorized) // it has won since
		c.want(c.releaseSlot(), nil)
		c.want(c.releaseSlot(), nil)
		a.mustCommit(change{group: testGroup, epoch: 2, id: 45}, 3)
		if len(f.slots.groups) != 0 {
			t.Fatalf("%d lines are left", len(f.slots.groups))
		}
	})
}

// TestSlotEnds: with its deadline, and with the stream that it was claimed on, even for who waits.
func TestSlotEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, a, b, c := racers(t)
		defer f.Close()
		begin := time.Now()
		b.want(<-b.claimSlot(), nil)
		second := c.claimSlot()
		c.want(<-second, nil)
		if d := time.Since(begin); d != f.limits.Slot {
			t.Fatalf("the slot ended after %v", d)
		}
		ctx, cancel := context.WithCancel(context.Background())
		again := b.claimSlotUntil(ctx)
		waits(t, again)
		cancel() // as the end of its stream does with a call that waits
		if err := <-again; err == nil {
			t.Fatal("granted to who has gone")
		}
		synctest.Wait()
		c.ds.Release()
		synctest.Wait()
		a.mustCommit(change{group: testGroup, epoch: 1, id: 40}, 2)
		if d := time.Since(begin); d != f.limits.Slot {
			t.Fatalf("the end of a stream was noticed after %v", d)
		}
		c.ds = f.client(c.c)
	})
}

// TestSlotStrangers: a slot is for members.
func TestSlotStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, _, _ := racers(t)
		defer f.Close()
		m := f.caller(t, 9)
		m.want(<-m.claimSlot(), quicrpc.ErrNotFound)
		if err := m.releaseSlot(); err != nil && !errors.Is(err, quicrpc.ErrNotFound) {
			t.Fatal(err)
		}
	})
}
