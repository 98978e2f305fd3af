package hotlog

import (
	"quicnprotochat/store/internal/idset"
	"quicnprotochat/store/internal/wal"
)

// window is what the decider knows of the log that was not retired yet: the message ids, and what each segment touched. The decider owns it.
type window struct {
	ids      map[name]uint64 // seq by id of a message; the first store of it
	segments map[uint64]*segment
	current  *segment // the one that was written last
	hot      int      // ids in all segments
	retired  uint64   // see idEpoch in Store
	expiry   map[uint32]map[*stream]struct{}
}

// segment is what one segment of the log holds.
type segment struct {
	number  uint64
	streams []*stream       // of which a record is in it; each once
	ids     [][]idset.Entry // of the messages in it
}

const idBlock = 1024

func newWindow() window {
	return window{ids: make(map[name]uint64), segments: make(map[uint64]*segment), expiry: make(map[uint32]map[*stream]struct{})}
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
	w.ids[id] = seq
	g := w.at(pos.Segment)
	n := len(g.ids)
	if n == 0 || len(g.ids[n-1]) == idBlock {
		g.ids = append(g.ids, make([]idset.Entry, 0, idBlock))
		n++
	}
	g.ids[n-1] = append(g.ids[n-1], idset.Entry{ID: id, Seq: seq})
	w.hot++
}

// take removes a segment, of which the caller now has the only hold; nil if nothing is known of it.
func (w *window) take(number uint64) *segment {
	g := w.segments[number]
	delete(w.segments, number)
	if w.current == g {
		w.current = nil
	}
	return g
}

// forgetIDs is told that the tree holds the ids. Those that were stored anew meanwhile stay: they are in a later segment.
func (w *window) forgetIDs(ids []idset.Entry) {
	for i := range ids {
		if w.ids[ids[i].ID] == ids[i].Seq {
			delete(w.ids, ids[i].ID)
		}
	}
	w.hot -= len(ids)
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
