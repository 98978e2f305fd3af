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

// vouched says whether a batch behind offset says that all up to there was synced, and where the first batch behind it starts.
func (s *segment) vouched(b []byte, offset int64) (next int64, ok bool) {
	next = -1
	for from := offset + 1; ; {
		at, m, found := s.nextMark(b, from)
		if !found {
			return 0, false
		}
		if next < 0 {
			next = at
		}
		if int64(m.synced) > offset {
			return next, true
		}
		from = at + 1
	}
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
	for at < int64(len(b)) {
		next, err := r.frame(s, b, at)
		if err != nil {
			return 0, err
		}
		if next > 0 {
			at = next
			continue
		}
		// The frame is bad. Where the end is known, or a later batch vouches for it, it was good once.
		size, _, headed := s.head(b[at:], uint32(at))
		resume, vouched := s.vouched(b, at)
		switch {
		case headed && (known || vouched):
			r.corrupt(s.number, at, "a record fails its check")
			at += int64(size)
		case vouched:
			r.corrupt(s.number, at, "records up to the next batch cannot be read")
			at = resume
		case known:
			r.corrupt(s.number, at, "records up to the next batch cannot be read")
			if resume, _, ok := s.nextMark(b, at+1); ok {
				at = resume
			} else {
				at = int64(len(b))
			}
		default:
			_, _, more := s.nextMark(b, at+1)
			r.report.Torn = r.report.Torn || last && (headed || more)
			if !last {
				r.corrupt(s.number, at, "it ends here, or cannot be read further")
			}
			return at, nil
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
