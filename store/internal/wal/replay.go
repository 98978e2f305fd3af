package wal

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// markAt reads a mark whose frame stands at the start of b and at offset in the segment. It changes nothing in b.
func (s *segment) markAt(b []byte, offset int64) (mark, bool) {
	size, isMark, ok := s.head(b, uint32(offset))
	if !ok || !isMark {
		return mark{}, false
	}
	payload, ok := s.open(slices.Clone(b[:size]), uint32(offset))
	if !ok {
		return mark{}, false
	}
	return parseMark(payload), true
}

// nextMark finds the first mark at or behind from.
func (s *segment) nextMark(b []byte, from int64) (at int64, m mark, ok bool) {
	var pattern [4]byte
	binary.LittleEndian.PutUint32(pattern[:], markBit|markSize)
	for at = from; at < int64(len(b)); at++ {
		i := bytes.Index(b[at:], pattern[:])
		if i < 0 {
			break
		}
		at += int64(i)
		if m, ok := s.markAt(b[at:], at); ok {
			return at, m, true
		}
	}
	return 0, mark{}, false
}

// vouched is the offset up to which a segment's marks say that it was synced.
func (s *segment) vouched(b []byte) (offset int64) {
	for at, m, ok := s.nextMark(b, firstBatch); ok; at, m, ok = s.nextMark(b, at+1) {
		if int64(m.synced) <= at { // a mark speaks of what stands before it
			offset = max(offset, int64(m.synced))
		}
	}
	return offset
}

// segment replays a segment and returns where it ends. end is where the next one says that it ends, or 0. Behind the end of the last one there
// may be something that was cut off.
func (r *reader) segment(s *segment, end int64, last bool) (int64, error) {
	b, err := r.load(s)
	if err != nil {
		return 0, err
	}
	known := end >= firstBatch && end <= int64(len(b))
	if known {
		b = b[:end]
	}
	at := int64(firstBatch)
	synced := end // as far as what stands there was good once
	if !known {
		synced = -1 // looked for when it is needed
	}
	for at < int64(len(b)) {
		next, err := r.frame(s, b, at)
		if err != nil {
			return 0, err
		}
		if next > 0 {
			at = next
			continue
		}
		if synced < 0 {
			synced = s.vouched(b)
		}
		size, _, headed := s.head(b[at:], uint32(at))
		resume, _, more := s.nextMark(b, at+1)
		switch {
		case at >= synced: // it never was
			r.report.Torn = r.report.Torn || last && (headed || more)
			if !last {
				r.corrupt(s.number, at, "it ends here, or cannot be read further")
			}
			return at, nil
		case headed:
			r.corrupt(s.number, at, "a record fails its check")
			at += int64(size)
		case more:
			r.corrupt(s.number, at, "records up to the next batch cannot be read")
			at = resume
		default:
			r.corrupt(s.number, at, "the rest cannot be read")
			return int64(len(b)), nil
		}
	}
	return at, nil
}

// frame replays the frame at an offset, and returns where the next one starts, or 0 if it is bad.
func (r *reader) frame(s *segment, b []byte, at int64) (next int64, err error) {
	size, isMark, ok := s.head(b[at:], uint32(at))
	if !ok {
		return 0, nil
	}
	payload, ok := s.open(b[at:at+int64(size)], uint32(at))
	if !ok {
		return 0, nil
	}
	if !isMark {
		r.report.Records++
		r.report.Bytes += int64(len(payload))
		p := Pos{s.number, uint32(at), uint32(len(payload))}
		if err := r.replay(p, payload); err != nil {
			return 0, err
		}
	}
	return at + int64(size), nil
}
