package hotlog

import (
	"cmp"
	"encoding/binary"
	"iter"
	"math/bits"
	"runtime"
	"slices"

	"quicnprotochat/store/internal/idset"
)

// moveIDs makes a run of the ids of a segment. The decider forgets them when nobody can have looked them up before that.
func (r *retirer) moveIDs(g *segment) error {
	if len(g.ids) == 0 {
		return nil
	}
	all := sortIDs(g.ids)
	bucket := bucketOf(r.s.opts.Clock().UnixMilli())
	if err := r.s.ids.runs.Add(bucket, g.number, len(all), yielding(all)); err != nil {
		return err
	}
	select {
	case r.added <- struct{}{}:
	default:
	}
	return r.do(&forgetIDsOp{segment: g, epoch: r.s.idEpoch.Add(1)})
}

// idsAtOnce is after how many ids the retirer lets others have the processor, for whom a message waits: it has much to do, and time.
const idsAtOnce = 1024

// sortIDs returns ids in order: first they are parted by how they begin, which is even, then each part is sorted.
func sortIDs(ids map[name]uint64) []idset.Entry {
	all := make([]idset.Entry, len(ids))
	parts := max(1, len(ids)/(idsAtOnce/2))
	part := func(id *name) int {
		hi, _ := bits.Mul64(binary.BigEndian.Uint64(id[:]), uint64(parts))
		return int(hi)
	}
	ends, done := make([]int, parts+1), 0
	for id := range ids {
		ends[part(&id)+1]++
		if done++; done%idsAtOnce == 0 {
			runtime.Gosched()
		}
	}
	for i := range parts {
		ends[i+1] += ends[i]
	}
	// From here on ends[i] is where the next id of part i goes, so at last where the part ends.
	for id, seq := range ids {
		at := &ends[part(&id)]
		all[*at] = idset.Entry{ID: id, Seq: seq}
		if *at++; *at%idsAtOnce == 0 {
			runtime.Gosched()
		}
	}
	from := 0
	for _, to := range ends[:parts] {
		slices.SortFunc(all[from:to], compareIDs)
		from = to
		runtime.Gosched()
	}
	return all
}

// yielding is all the entries, for one who goes through them at length.
func yielding(all []idset.Entry) iter.Seq[idset.Entry] {
	return func(yield func(idset.Entry) bool) {
		for i, e := range all {
			if i%idsAtOnce == idsAtOnce-1 {
				runtime.Gosched()
			}
			if !yield(e) {
				return
			}
		}
	}
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

// forgetIDsOp has the decider forget the ids of a segment, which a run holds since the epoch.
type forgetIDsOp struct {
	segment *segment
	epoch   uint64
}

func (o *forgetIDsOp) size() (int, int)    { return 0, 0 }
func (o *forgetIDsOp) needs() (bool, bool) { return false, false }

func (o *forgetIDsOp) decide(b *batch) {
	w := &b.d.window
	w.retired = max(w.retired, o.epoch)
	w.forgetIDs(o.segment)
}
