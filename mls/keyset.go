package mls

import (
	"encoding/binary"

	"quicnprotochat/mls/internal/ratchet"
)

// keySet holds the few keys that a commit brings, to be looked for among the
// many of a tree: most of those are told apart by a bit, without being hashed.
type keySet struct {
	filter [64]uint64
	at     map[string]ratchet.Leaf
}

// slot chooses a bit of the filter by the last bytes of a key, since encoded
// points begin alike.
func slot(key []byte) (word, bit uint) {
	if len(key) < 2 {
		return 0, 0
	}
	v := uint(binary.LittleEndian.Uint16(key[len(key)-2:]))
	return v >> 6 & 63, v & 63
}

func (s *keySet) add(key []byte, l ratchet.Leaf) {
	if s.at == nil {
		s.at = make(map[string]ratchet.Leaf)
	}
	word, bit := slot(key)
	s.filter[word] |= 1 << bit
	s.at[string(key)] = l
}

func (s *keySet) find(key []byte) (ratchet.Leaf, bool) {
	word, bit := slot(key)
	if s.filter[word]>>bit&1 == 0 {
		return 0, false
	}
	l, ok := s.at[string(key)]
	return l, ok
}
