package hotlog

import (
	"bytes"
	"testing"

	"quicnprotochat/store"
)

// The decoders of a group's values take anything: what they accept is encoded to the same bytes again.

func FuzzGroup(f *testing.F) {
	g := group{id: "g", founder: store.Identity{1}, epoch: 300, members: 2}
	f.Add(g.append(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if g, err := decodeGroup(b); err == nil && !bytes.Equal(g.append(nil), b) {
			t.Errorf("%x became %x", b, g.append(nil))
		}
	})
}

func FuzzMember(f *testing.F) {
	for _, v := range []view{{}, {joined: 1, acked: 5}, {joined: 300, acked: 300, until: 301}} {
		m := member{id: store.Identity{9}, view: v}
		f.Add(m.append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := decodeMember(b); err == nil && !bytes.Equal(m.append(nil), b) {
			t.Errorf("%x became %x", b, m.append(nil))
		}
	})
}

func FuzzMembership(f *testing.F) {
	f.Add(appendMembership(nil, "g", true))
	f.Add(appendMembership(nil, "another group", false))
	f.Fuzz(func(t *testing.T, b []byte) {
		if g, member, err := decodeMembership(b); err == nil && !bytes.Equal(appendMembership(nil, g, member), b) {
			t.Errorf("%x became %x", b, appendMembership(nil, g, member))
		}
	})
}

func FuzzChange(f *testing.F) {
	f.Add(appendChange(nil, &store.Change{Seq: 1}))
	f.Add(appendChange(nil, &store.Change{Seq: 300, Epoch: 7, Sender: store.Identity{1}, Added: []store.Identity{{2}, {3}}, Removed: []store.Identity{{4}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := decodeChange(b); err == nil && !bytes.Equal(appendChange(nil, &c), b) {
			t.Errorf("%x became %x", b, appendChange(nil, &c))
		}
	})
}
