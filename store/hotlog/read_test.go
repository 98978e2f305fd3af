package hotlog

import (
	"testing"

	"quicnprotochat/store"
)

// TestReadLimitsAcrossTheTree: a queue of which a part has gone to the tree is cut into pages like any other, whatever the limits: as many messages as fit, and one at least.
func TestReadLimitsAcrossTheTree(t *testing.T) {
	sizes := []int{300, 7, 100, 1, 20, 250, 3} // bytes
	for cold := range len(sizes) + 1 {
		s := mustOpen(t, small(t.TempDir()))
		q := store.QueueID{Owner: benchOwner(1)}
		total := 0
		for i, size := range sizes {
			if i == cold && i > 0 {
				retireAll(t, s)
			}
			m := testMessage(q, uint64(i+1))
			m.Payload = make([]byte, size)
			put(t, s, m)
			total += size
		}
		if cold == len(sizes) {
			retireAll(t, s)
		}
		for after := range len(sizes) {
			for messages := 1; messages <= len(sizes)+1; messages++ {
				for bytes := 1; bytes <= total+1; bytes++ {
					want, left := 0, bytes
					for _, size := range sizes[after:] {
						if want > 0 && (size > left || want == messages) {
							break
						}
						left -= size
						want++
					}
					p, err := s.Read(t.Context(), q, uint64(after), messages, bytes)
					if err != nil || len(p.Messages) != want || p.More != (after+want < len(sizes)) {
						t.Fatalf("%d in the tree, after %d, at most %d messages and %d bytes: %d, more %v, %v; want %d", cold, after, messages, bytes, len(p.Messages), p.More, err, want)
					}
					for i := range p.Messages {
						if m := &p.Messages[i]; m.Seq != uint64(after+i+1) || len(m.Payload) != sizes[after+i] {
							t.Fatalf("message %d of %d bytes at place %d", m.Seq, len(m.Payload), after+i+1)
						}
					}
				}
			}
		}
		mustClose(t, s)
	}
}
