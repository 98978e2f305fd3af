package ds

import (
	"context"
	"fmt"
	"testing"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
)

func (k *caller) report(group string, seq uint64) (said, needed uint32, err error) {
	f, release := k.ds.ReportCommit(context.Background(), func(p schemas.DeliveryService_reportCommit_Params) error {
		p.SetSeq(seq)
		return p.SetGroupId([]byte(group))
	})
	defer release()
	r, err := f.Struct()
	if err != nil {
		return 0, 0, quicrpc.FromRPC(err)
	}
	return r.Reports(), r.Needed(), nil
}

func (k *caller) mustReport(group string, seq uint64, said, needed uint32) {
	k.t.Helper()
	if s, n, err := k.report(group, seq); err != nil || s != said || n != needed {
		k.t.Fatalf("%d of %d reports, %v; want %d of %d", s, n, err, said, needed)
	}
}

// wedged is a group of 1 to 5, founded by 1, whose member 5 has removed 1 and 2 and added 6, at place 2.
func wedged(t *testing.T, f *fixture) (k map[byte]*caller) {
	k = make(map[byte]*caller)
	for n := byte(1); n <= 9; n++ {
		k[n] = f.caller(t, n)
	}
	const g = testGroup
	k[1].want(k[1].create(g, 0, nil), nil)
	k[1].mustCommit(change{group: g, id: 1, added: []byte{2, 3, 4, 5}}, 1)
	k[5].mustCommit(change{group: g, epoch: 1, id: 2, added: []byte{6}, removed: []byte{1, 2}}, 2)
	return k
}

// TestReplaceByMost: more than half of the members before a commit take it back.
func TestReplaceByMost(t *testing.T) {
	f := start(Limits{})
	defer f.Close()
	k, good := wedged(t, f), change{group: testGroup, epoch: 1, id: 3, removed: []byte{5}, added: []byte{7}, replaces: true}
	const g = testGroup
	_, err := k[3].commit(good)
	k[3].want(err, quicrpc.ErrNotAuthorized)
	_, _, err = k[6].report(g, 2)
	k[6].want(err, quicrpc.ErrNotAuthorized)
	_, _, err = k[9].report(g, 2)
	k[9].want(err, quicrpc.ErrNotFound)
	for _, seq := range []uint64{0, 1, 3, 1 << 63} {
		_, _, err = k[3].report(g, seq)
		k[3].want(err, quicrpc.ErrInvalidArgument)
	}
	k[2].mustReport(g, 2, 1, 3) // who was removed may speak
	k[2].mustReport(g, 2, 1, 3)
	k[5].mustReport(g, 2, 2, 3) // its sender may, too, and does not count
	k[3].mustReport(g, 2, 3, 3)
	_, err = k[2].commit(good)
	k[2].want(err, quicrpc.ErrNotAuthorized)
	k[4].mustReport(g, 2, 4, 3)
	_, err = k[6].commit(good)
	k[6].want(err, quicrpc.ErrNotAuthorized)
	for _, bad := range []change{
		{group: g, epoch: 1, id: 9, removed: []byte{2}, replaces: true},
		{group: g, epoch: 1, id: 9, replaces: true, added: []byte{2}, message: mlsHeader(publicMessage, g, 1, commit, 4)},
	} {
		_, err = k[2].commit(bad)
		k[2].want(err, quicrpc.ErrInvalidArgument)
	}
	if out, err := k[2].commit(change{group: g, epoch: 2, id: 9, replaces: true}); err != nil || out.status != schemas.CommitStatus_wrongEpoch || out.epoch != 2 {
		t.Fatalf("replaced from another epoch: %+v, %v", out, err)
	}
	k[2].mustCommit(good, 3)
	if out, err := k[2].commit(good); err != nil || out != (outcome{schemas.CommitStatus_duplicate, 3, 2}) {
		t.Fatalf("repeated: %+v, %v", out, err)
	}
	if all, _, err := k[1].members(g, nil, 0); err != nil || string(all) != "\x01\x02\x03\x04\x07" {
		t.Fatalf("members: %v, %v", all, err)
	}
	k[1].mustPost(g, 50, 2, 4)
	if got := fmt.Sprint(k[1].reads(g), k[5].reads(g), k[6].reads(g), k[7].reads(g)); got != "[1 2 3 4] [2 3] [3] [4]" {
		t.Fatalf("they read %s", got)
	}
	_, err = k[1].commit(change{group: g, epoch: 1, id: 10, replaces: true}) // what was said of one says nothing of the next
	k[1].want(err, quicrpc.ErrNotAuthorized)
	records, _, err := f.store.ListRecords(t.Context(), replacedPrefix(g), "", 10)
	if err != nil || len(records) != 1 || len(records[0].Value) != 8+8+32+4*32 {
		t.Fatalf("written down: %v, %v", records, err)
	}
}

// TestReplaceByFounder: the founder's word is enough, though it was removed.
func TestReplaceByFounder(t *testing.T) {
	f := start(Limits{})
	defer f.Close()
	k := wedged(t, f)
	const g = testGroup
	k[1].mustReport(g, 2, 1, 1)
	k[3].mustCommit(change{group: g, epoch: 1, id: 3, replaces: true}, 3)
	if all, _, err := k[3].members(g, nil, 0); err != nil || string(all) != "\x01\x02\x03\x04\x05" {
		t.Fatalf("members: %v, %v", all, err)
	}
	_, _, err := k[9].report("no such group at all", 1)
	k[9].want(err, quicrpc.ErrNotFound)
	k[8].want(k[8].create("a group of its own", 0, nil), nil)
	_, _, err = k[8].report("a group of its own", 1)
	k[8].want(err, quicrpc.ErrInvalidArgument)
}

// TestFounderRemoves: whom the founder removes cannot take that back alone.
func TestFounderRemoves(t *testing.T) {
	f := start(Limits{})
	defer f.Close()
	founder, other := f.caller(t, 1), f.caller(t, 2)
	const g = testGroup
	founder.want(founder.create(g, 0, nil), nil)
	founder.mustCommit(change{group: g, id: 1, added: []byte{2}}, 1)
	founder.mustCommit(change{group: g, epoch: 1, id: 2, removed: []byte{2}}, 2)
	other.mustReport(g, 2, 0, 1)
	_, err := other.commit(change{group: g, epoch: 1, id: 3, replaces: true})
	other.want(err, quicrpc.ErrNotAuthorized)
	founder.mustReport(g, 2, 1, 1)
	founder.mustCommit(change{group: g, epoch: 1, id: 4, replaces: true}, 3)
}

// TestReplacedBounds: what is remembered of replaced commits is bounded.
func TestReplacedBounds(t *testing.T) {
	f := start(Limits{})
	defer f.Close()
	k := wedged(t, f)
	for seq := uint64(2); seq < maxReplaced+20; seq++ {
		k[1].mustReport(testGroup, seq, 1, 1)
		k[1].mustCommit(change{group: testGroup, epoch: 1, id: byte(seq + 1), replaces: true}, seq+1)
	}
	records, more, err := f.store.ListRecords(t.Context(), replacedPrefix(testGroup), "", 1000)
	if err != nil || more || len(records) != maxReplaced {
		t.Fatalf("%d written down, %v", len(records), err)
	}
}
