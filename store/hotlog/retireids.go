package hotlog

import (
	"bytes"
	"slices"
)

// idSeq is an id with the number of its message.
type idSeq struct {
	id  name
	seq uint64
}

// moveIDs brings the ids of a segment to the tree, in order, which is much faster there. The decider forgets them when nobody can have looked them up
// before that.
func (r *retirer) moveIDs(g *segment) error {
	all := make([]idSeq, 0, len(g.ids)*idBlock)
	for _, block := range g.ids {
		o := &idsOp{ids: block, found: all}
		if err := r.do(o); err != nil {
			return err
		}
		all = o.found
	}
	slices.SortFunc(all, func(a, b idSeq) int { return bytes.Compare(a.id[:], b.id[:]) })
	bucket := bucketOf(r.s.opts.Clock().UnixMilli())
	for part := range slices.Chunk(all, 4*idBlock) {
		b := r.s.tree.db.NewBatch()
		for i := range part {
			r.s.ids.add(bucket, &part[i].id)
			d := b.SetDeferred(idKeySize, 8)
			appendIDKey(d.Key[:0], bucket, &part[i].id)
			appendSeq(d.Value[:0], part[i].seq)
			must(d.Finish())
		}
		if err := r.apply(b); err != nil {
			return err
		}
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

// idsOp reads what the decider knows of ids, or, with an epoch, has it forget them.
type idsOp struct {
	ids   []name
	found []idSeq
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
		if seq := w.ids[o.ids[i]]; seq != 0 {
			o.found = append(o.found, idSeq{o.ids[i], seq})
		}
	}
}
