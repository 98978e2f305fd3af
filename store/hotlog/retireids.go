package hotlog

import (
	"cmp"
	"encoding/binary"
	"slices"

	"quicnprotochat/store/internal/idset"
)

// moveIDs makes a run of the ids of a segment. The decider forgets them when nobody can have looked them up before that.
func (r *retirer) moveIDs(g *segment) error {
	all := make([]idset.Entry, 0, len(g.ids)*idBlock)
	for _, block := range g.ids {
		o := &idsOp{ids: block, found: all}
		if err := r.do(o); err != nil {
			return err
		}
		all = o.found
	}
	slices.SortFunc(all, compareIDs)
	bucket := bucketOf(r.s.opts.Clock().UnixMilli())
	if err := r.s.ids.runs.Add(bucket, g.number, len(all), slices.Values(all)); err != nil {
		return err
	}
	select {
	case r.added <- struct{}{}:
	default:
	}
	epoch := r.s.idEpoch.Add(1)
	for _, block := range g.ids {
		if err := r.do(&idsOp{ids: block, epoch: epoch}); err != nil {
			return err
		}
	}
	g.ids = nil
	return nil
}

// compareIDs compares ids as two numbers, which is faster than byte by byte and the same order.
func compareIDs(a, b idset.Entry) int {
	if c := cmp.Compare(binary.BigEndian.Uint64(a.ID[:]), binary.BigEndian.Uint64(b.ID[:])); c != 0 {
		return c
	}
	return cmp.Compare(binary.BigEndian.Uint64(a.ID[8:]), binary.BigEndian.Uint64(b.ID[8:]))
}

// mergeIDs merges runs of ids, in a goroutine of its own, when there are more of them.
func (r *retirer) mergeIDs() {
	for {
		more, err := r.s.ids.runs.Merge(bucketOf(r.s.opts.Clock().UnixMilli()), r.s.stop)
		if err != nil {
			r.s.opts.Logger.Warn("store: merging runs of message ids", "err", err)
		}
		if more && err == nil {
			continue
		}
		select {
		case <-r.s.stop:
			return
		case <-r.added:
		}
	}
}

// idsOp reads what the decider knows of ids, or, with an epoch, has it forget them.
type idsOp struct {
	ids   []idset.Entry
	found []idset.Entry
	epoch uint64
}

func (o *idsOp) size() (int, int)    { return 0, 0 }
func (o *idsOp) needs() (bool, bool) { return false, false }

func (o *idsOp) decide(b *batch) {
	w := &b.d.window
	if o.epoch > 0 {
		w.retired = max(w.retired, o.epoch)
		w.forgetIDs(o.ids)
		return
	}
	for i := range o.ids {
		if seq := w.ids[o.ids[i].ID]; seq != 0 {
			o.found = append(o.found, idset.Entry{ID: o.ids[i].ID, Seq: seq})
		}
	}
}
