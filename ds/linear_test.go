package ds

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/schemas"
	"quicnprotochat/store"
	"quicnprotochat/store/hotlog"
)

// call is what a member asked of a group, and answered what it was told.
type call struct {
	kind  string // commit, post or read
	id    byte   // of a commit or post
	epoch uint64 // that a commit was made in
}

type answered struct {
	status uint16
	seq    uint64 // of what was stored
	epoch  uint64 // after a commit
	ids    string // that were read, a byte each
}

// order is the simplest group there can be: an epoch, and the ids of all that was stored.
type order struct {
	epoch uint64
	ids   string
}

// step says whether an order can answer so, and what it is afterwards.
func (o order) step(c call, a answered) (bool, order) {
	seq := uint64(len(o.ids) + 1)
	if at := strings.IndexByte(o.ids, c.id); c.kind != "read" && at >= 0 {
		return a.seq == uint64(at+1) && a.status == uint16(schemas.EnqueueStatus_duplicate), o // the same number in both enums
	}
	switch c.kind {
	case "read":
		return a.ids == o.ids[1:], o // but for the commit that added the readers
	case "post":
		o.ids += string([]byte{c.id})
		return a.status == uint16(schemas.EnqueueStatus_stored) && a.seq == seq, o
	}
	if c.epoch != o.epoch {
		return a.status == uint16(schemas.CommitStatus_wrongEpoch) && a.epoch == o.epoch, o
	}
	o.epoch, o.ids = o.epoch+1, o.ids+string([]byte{c.id})
	return a.status == uint16(schemas.CommitStatus_accepted) && a.seq == seq && a.epoch == o.epoch, o
}

// groupModel begins when all are members: with the commit that made them so.
var groupModel = porcupine.Model{
	Init: func() any { return order{1, "\xff"} },
	Step: func(o, c, a any) (bool, any) { return o.(order).step(c.(call), a.(answered)) },
}

// TestLinearizable: what members see who commit, post, repeat themselves and read at the same time can have happened one after another.
func TestLinearizable(t *testing.T) {
	if schemas.CommitStatus_duplicate != schemas.CommitStatus(schemas.EnqueueStatus_duplicate) {
		t.Fatal("the enums differ")
	}
	disk := func() store.Store {
		s, err := hotlog.Open(hotlog.Options{Dir: "store", FS: vfs.NewMem(), SegmentBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for name, f := range map[string]*fixture{"memory": start(Limits{}), "hotlog": startOn(disk(), Limits{})} {
		t.Run(name, func(t *testing.T) {
			defer f.store.Close()
			defer f.Close()
			for seed := range uint64(1000) {
				history(t, f, seed)
			}
		})
	}
}

func history(t *testing.T, f *fixture, seed uint64) {
	const members, calls = 4, 8
	group := fmt.Sprintf("group %10d", seed)
	people := make([]*caller, members)
	for i := range people {
		people[i] = f.caller(t, byte(i+1))
	}
	people[0].want(people[0].create(group, 0, nil), nil)
	var mu sync.Mutex
	var seen []porcupine.Operation
	begin := time.Now()
	add := change{group: group, id: 255, added: []byte{2, 3, 4}}
	people[0].mustCommit(add, 1)
	var all sync.WaitGroup
	for i, k := range people {
		all.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			epoch, last := uint64(1), byte(0)
			for n := range calls {
				c := call{kind: []string{"commit", "post", "read"}[r.IntN(3)], id: byte(1 + i*calls + n), epoch: epoch}
				if last != 0 && r.IntN(4) == 0 {
					c.id = last // a repetition
				}
				op := porcupine.Operation{ClientId: i, Input: c, Call: int64(time.Since(begin))}
				got := k.do(group, c)
				op.Output = got
				op.Return = int64(time.Since(begin))
				if c.kind == "commit" {
					epoch = got.epoch
				}
				if c.kind != "read" && got.seq != 0 {
					last = c.id
				}
				mu.Lock()
				seen = append(seen, op)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if !porcupine.CheckOperations(groupModel, seen) {
		t.Fatalf("seed %d: no order of these calls explains the answers: %+v", seed, seen)
	}
}

// do makes a call and returns what it was told.
func (k *caller) do(group string, c call) (a answered) {
	switch c.kind {
	case "read":
		a.ids = k.readIDs(group)
	case "post":
		status, seq, _, err := k.post(group, c.id, mlsHeader(privateMessage, group, 1, application))
		k.want(err, nil)
		a.status, a.seq = uint16(status), seq
	case "commit":
		out, err := k.commit(change{group: group, epoch: c.epoch, id: c.id})
		k.want(err, nil)
		a.status, a.epoch = uint16(out.status), out.epoch
		if out.status != schemas.CommitStatus_wrongEpoch {
			a.seq = out.seq
		}
	}
	return a
}
