package mls_test

import (
	"bytes"
	"testing"

	"quicnprotochat/mls"
)

// TestPaddingOfAnyKind: a padding policy may answer as it likes, differently each time it is asked, at random for instance: the message
// holds it, encrypted.
func TestPaddingOfAnyKind(t *testing.T) {
	extra, calls := 0, 0
	g := newTestGroup(t, suite1, 2, mls.Policy{Padding: func(n int) int {
		if calls++; calls%2 == 1 {
			return n
		}
		return n + extra
	}})
	a, b := g.members[0], g.members[1]
	text := bytes.Repeat([]byte("x"), 100)
	for extra = range 3000 {
		calls = 0
		msg := must2(a.group.Protect(text, nil))(t)
		if bytes.Contains(msg, text) {
			t.Fatalf("padded by %d, the text stands in the message as it is", extra)
		}
		if extra%100 == 0 { // the others are late or lost, as it happens
			if got := must2(b.group.Process(msg))(t); !bytes.Equal(got.Plaintext, text) {
				t.Fatalf("padded by %d, %d bytes came back", extra, len(got.Plaintext))
			}
		}
	}
}
