package mls

import (
	"testing"

	"pgregory.net/rapid"

	"quicnprotochat/mls/internal/ratchet"
)

// TestKeySet compares a keySet with a map.
func TestKeySet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.ByteRange(0, 3), 0, 4)
		var s keySet
		m := make(map[string]ratchet.Leaf)
		for i, k := range rapid.SliceOf(key).Draw(t, "keys") {
			s.add(k, ratchet.Leaf(i))
			m[string(k)] = ratchet.Leaf(i)
		}
		for _, k := range rapid.SliceOf(key).Draw(t, "looked for") {
			l, ok := s.find(k)
			if want, in := m[string(k)]; ok != in || l != want {
				t.Fatalf("%x: %d %v, not %d %v", k, l, ok, want, in)
			}
		}
		if len(s.at) != len(m) {
			t.Fatalf("%d keys, not %d", len(s.at), len(m))
		}
	})
}
