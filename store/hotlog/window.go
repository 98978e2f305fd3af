package hotlog

import (
	"encoding/binary"
	"slices"

	"quicnprotochat/store/internal/wal"
)

// window is what the decider knows of the log that was not retired yet: the message ids, and what each segment touched. The decider owns it.
type window struct {
	segments map[uint64]*segment
	current  *segment   // the one that was written last
	recent   []*segment // with ids that are in no run yet, oldest first: of segments, and of the one that is being retired
	hot      int        // ids in all of recent
	retired  uint64     // see idEpoch in Store
	expiry   map[uint32]map[*stream]struct{}
}

// segment is what one segment of the log holds.
type segment struct {
	number  uint64
	streams []*stream       // of which a record is in it; each once
	ids     map[name]uint64 // seq by id of a message in it. Nobody adds to it once the segment was taken.
	filter  filter          // of ids
}

// filter tells at once of nearly all ids that a segment does not have that it has not: a look into the map of each segment would be a good part of what a message costs. A full segment of
// small messages has some 190,000 ids, which is one bit in 22.
type filter []uint64

const filterBits = 1 << 22

// bit is where an id, which is as good as random, has its bit.
func (f filter) bit(id *name) (word *uint64, mask uint64) {
	n := binary.LittleEndian.Uint32(id[len(id)-4:]) % filterBits
	return &f[n/64], 1 << (n % 64)
}

func (f filter) add(id *name) {
	word, mask := f.bit(id)
	*word |= mask
}

func (f filter) mayHold(id *name) bool {
	word, mask := f.bit(id)
	return *word&mask != 0
}

func newWindow() window {
	return window{segments: make(map[uint64]*segment), expiry: make(map[uint32]map[*stream]struct{})}
}

// at is the segment of a number.
func (w *window) at(number uint64) *segment {
	if w.current != nil && w.current.number == number {
		return w.current
	}
	g := w.segments[number]
	if g == nil {
		g = &segment{number: number}
		w.segments[number] = g
	}
	w.current = g
	return g
}

// touch notes that a record at pos says all about st.
func (w *window) touch(st *stream, pos wal.Pos) {
	if st.segment == pos.Segment {
		return
	}
	if st.segment == 0 {
		st.object.dirty.Add(1)
	}
	st.segment = pos.Segment
	g := w.at(pos.Segment)
	g.streams = append(g.streams, st)
}

// add remembers an id whose message is at pos.
func (w *window) add(id name, seq uint64, pos wal.Pos) {
	g := w.at(pos.Segment)
	if g.ids == nil {
		g.ids, g.filter = make(map[name]uint64), make(filter, filterBits/64)
		w.recent = append(w.recent, g)
	}
	w.hot -= len(g.ids)
	g.ids[id] = seq
	g.filter.add(&id)
	w.hot += len(g.ids)
}

// find returns the seq under which an id was stored last, or 0. That may be in a later segment than an earlier one, whose time was over.
func (w *window) find(id *name) uint64 {
	for _, g := range slices.Backward(w.recent) {
		if g.filter.mayHold(id) {
			if seq := g.ids[*id]; seq != 0 {
				return seq
			}
		}
	}
	return 0
}

// take removes a segment, to which nobody adds any more; nil if nothing is known of it. Its ids are found until they are forgotten.
func (w *window) take(number uint64) *segment {
	g := w.segments[number]
	delete(w.segments, number)
	if w.current == g {
		w.current = nil
	}
	return g
}

// forgetIDs is told that a run holds the ids of a segment that was taken.
func (w *window) forgetIDs(g *segment) {
	w.recent = slices.DeleteFunc(w.recent, func(o *segment) bool { return o == g })
	w.hot -= len(g.ids)
	g.ids, g.filter = nil, nil
}

const msPerHour = 3600_000

// hourOf is the hour that the sweep looks at what expires at ms in: the first that begins after it.
func hourOf(ms int64) uint32 { return uint32(min(max(ms, 0)/msPerHour+1, 1<<32-1)) }

// expire notes that st has something that expires at ms.
func (w *window) expire(st *stream, ms int64) {
	hour := hourOf(ms)
	if st.expiry != 0 {
		if st.expiry <= hour {
			return
		}
		w.unexpire(st)
	}
	st.expiry = hour
	m := w.expiry[hour]
	if m == nil {
		m = make(map[*stream]struct{})
		w.expiry[hour] = m
	}
	m[st] = struct{}{}
}

func (w *window) unexpire(st *stream) {
	if m := w.expiry[st.expiry]; m != nil {
		delete(m, st)
		if len(m) == 0 {
			delete(w.expiry, st.expiry)
		}
	}
	st.expiry = 0
}
