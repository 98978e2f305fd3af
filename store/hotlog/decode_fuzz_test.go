package hotlog

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"quicnprotochat/store"
)

// FuzzState: the state of a queue, and the floor of an owner, in the tree.
func FuzzState(f *testing.F) {
	q := store.QueueID{Owner: benchOwner(1), Group: "g"}
	f.Add((&stream{id: q, acked: 3, last: 300, ackedCum: 10, lastCum: 70000, touched: 1_750_000_000_000}).appendMeta(nil))
	f.Add((&stream{id: store.QueueID{Group: "g", Shared: true}, last: 1}).appendMeta(nil))
	f.Add(appendFloor(nil, 300))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, touched, err := decodeMeta(b)
		if err != nil && !errors.Is(err, store.ErrCorrupt) {
			t.Fatal(err)
		}
		if err == nil {
			if again := appendTime(c.append(nil), touched); !bytes.Equal(again, b) {
				t.Errorf("%x became %x", b, again)
			}
		}
		floor, err := decodeFloor(b)
		if err != nil && !errors.Is(err, store.ErrCorrupt) {
			t.Fatal(err)
		}
		if err == nil && !bytes.Equal(appendFloor(nil, floor), b) {
			t.Errorf("%x became floor %d", b, floor)
		}
	})
}

// FuzzSealed: what was not sealed under the key does not open, and what was does.
func FuzzSealed(f *testing.F) {
	s, err := newSealer(make([]byte, KeySize))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("mkey"), []byte("value"))
	f.Add([]byte{}, s.seal(nil, nil, nil))
	f.Add([]byte("k"), s.seal(nil, []byte("k"), []byte("value"))[:sealExtra])
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if plain, err := s.open(key, value); err != nil && !errors.Is(err, store.ErrCorrupt) {
			t.Fatal(err)
		} else if err == nil && len(plain) != len(value)-sealExtra {
			t.Errorf("%d bytes of %d", len(plain), len(value))
		}
		sealed := s.seal(nil, key, value)
		plain, err := s.open(key, sealed)
		if err != nil || !bytes.Equal(plain, value) || len(sealed) != s.size(len(value)) {
			t.Errorf("%x became %x, %v", value, plain, err)
		}
		sealed[len(key)%len(sealed)] ^= 1
		if _, err := s.open(key, sealed); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("changed, and opened: %v", err)
		}
	})
}

// FuzzFormat: the file FORMAT is accepted with a secret of the right length only, or refused with an error that has a name.
func FuzzFormat(f *testing.F) {
	s, err := newSealer(make([]byte, KeySize))
	if err != nil {
		f.Fatal(err)
	}
	secret := make([]byte, 16)
	f.Add(formatPrefix+"2 "+hex.EncodeToString(secret)+"\n", false)
	f.Add(formatPrefix+"2 "+hex.EncodeToString(s.seal(nil, []byte(formatFile), secret))+"\n", true)
	f.Add(formatPrefix+"2 "+hex.EncodeToString(secret)+"\n", true)
	f.Add(formatPrefix+"1\n", false)
	f.Add(formatPrefix+"2 xyz\n", false)
	f.Add("", true)
	f.Fuzz(func(t *testing.T, text string, encrypted bool) {
		k := keys{names: new(names)}
		if encrypted {
			k.tree = s
		}
		err := k.readFormat("FORMAT", text)
		if err != nil && !errors.Is(err, store.ErrVersion) && !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, ErrKey) {
			t.Fatal(err)
		}
	})
}
