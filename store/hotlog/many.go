package hotlog

import (
	"encoding/binary"

	"quicnprotochat/store/internal/wal"
)

// part is one of the records that happen together: a message, or the whole text of another record.
type part struct {
	stream  *stream // of a message; its lock is taken when the message is added
	header  header
	id      name // of the message's id
	payload []byte
	text    []byte
}

func (p *part) size() int {
	if p.stream == nil {
		return len(p.text)
	}
	return p.header.size() + len(p.payload)
}

// manySize bounds the record of parts whose bodies have n bytes in all.
func manySize(parts, n int) int { return 1 + n + parts*(binary.MaxVarintLen32+maxHeader) }

// many writes one record of kind recordMany, and adds the messages in it to their streams. The headers must have been made by batch.header, in order, with
// no other message added to the stream since; of several for one stream each but the first goes on from the one before it.
func (b *batch) many(parts []part) wal.Pos {
	n := 1
	for i := range parts {
		size := parts[i].size()
		n += uvarintSize(uint64(size)) + size
	}
	record, pos := b.record(n)
	w := append(record[:0], recordMany)
	for i := range parts {
		p := &parts[i]
		w = binary.AppendUvarint(w, uint64(p.size()))
		from := len(w)
		if p.stream == nil {
			w = append(w, p.text...)
			continue
		}
		w = append(p.header.append(w), p.payload...)
		p.stream.object.mu.Lock()
		b.push(p.stream, &p.header, record, pos, uint32(from), uint32(len(w)-from))
		p.stream.object.mu.Unlock()
		b.remember(p.id, p.header.seq, pos)
	}
	return pos
}
