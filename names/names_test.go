package names

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
)

func private(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func key(n byte) Key { return Key(private(n).Public().(ed25519.PublicKey)) }

// writer makes entries of a log.
type writer struct {
	log    LogID
	number uint64
	hash   [32]byte
}

func newWriter(log byte) *writer { return &writer{log: LogID{log}, hash: LogID{log}} }

// entry makes the next one, signed by the keys of these numbers; 0 is none.
func (w *writer) entry(kind Kind, name string, version uint64, old, new byte) Entry {
	e := Entry{Number: w.number + 1, Previous: w.hash, Time: 1000 * (w.number + 1), Change: Change{Log: w.log, Kind: kind, Name: name, Version: version}}
	if old != 0 {
		e.Old = key(old)
	}
	if new != 0 {
		e.New = key(new)
	}
	if old != 0 {
		e.OldSignature = e.Sign(private(old))
	}
	if new != 0 {
		e.NewSignature = e.Sign(private(new))
	}
	return e
}

func (w *writer) write(e Entry) []byte {
	b := e.Encode()
	w.number, w.hash = e.Number, Hash(b)
	return b
}

func TestCheckName(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "alice": true, "a.b_c-d9": true, "0": true, strings.Repeat("a", 64): true,
		"": false, strings.Repeat("a", 65): false, "A": false, "-a": false, "a-": false, ".": false, "a/b": false, "a b": false, "é": false, "a\x00b": false,
		"qnp1" + strings.Repeat("a", 58): false, "qnp1" + strings.Repeat("a", 57): true,
	} {
		if err := CheckName(name); (err == nil) != want || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestAudit(t *testing.T) {
	w, a := newWriter(7), NewAudit(LogID{7})
	for _, e := range []struct {
		kind     Kind
		name     string
		version  uint64
		old, new byte
	}{
		{Claim, "alice", 1, 0, 1}, {Claim, "bob", 1, 0, 2}, {Rotate, "alice", 2, 1, 3}, {Rotate, "alice", 3, 3, 1}, {Claim, "carol", 1, 0, 3}, {Revoke, "bob", 2, 2, 0},
	} {
		if _, err := a.Next(w.write(w.entry(e.kind, e.name, e.version, e.old, e.new))); err != nil {
			t.Fatalf("%v: %v", e, err)
		}
	}
	if s := a.Resolve("alice"); s != (State{Version: 3, Key: key(1), Entry: 4}) {
		t.Errorf("alice: %+v", s)
	}
	if s := a.Resolve("bob"); s != (State{Version: 2, Key: key(2), Revoked: true, Entry: 6}) {
		t.Errorf("bob: %+v", s)
	}
	if a.Client(key(3)) != a.Client(key(1)) || a.Client(key(2)) == a.Client(key(1)) || a.Client(key(9)) != key(9) {
		t.Error("clients")
	}

	number, hash := a.Head()
	change := func(e Entry, f func(e *Entry)) Entry { f(&e); return e }
	rotate := w.entry(Rotate, "carol", 2, 3, 4)
	for name, c := range map[string]struct {
		e    Entry
		want error
	}{
		"taken":             {w.entry(Claim, "alice", 1, 0, 5), ErrTaken},
		"revoked":           {w.entry(Claim, "bob", 1, 0, 2), ErrRevoked},
		"nobody's":          {w.entry(Rotate, "dora", 2, 1, 3), ErrUnclaimed},
		"not the holder":    {w.entry(Rotate, "carol", 2, 1, 4), ErrHolder},
		"version":           {w.entry(Rotate, "carol", 3, 3, 4), ErrVersion},
		"another client":    {w.entry(Rotate, "carol", 2, 3, 2), ErrClient},
		"number":            {change(rotate, func(e *Entry) { e.Number++ }), ErrChain},
		"another past":      {change(rotate, func(e *Entry) { e.Previous[0] ^= 1 }), ErrChain},
		"time":              {change(rotate, func(e *Entry) { e.Time = 1 }), ErrChain},
		"old signature":     {change(rotate, func(e *Entry) { e.OldSignature[0] ^= 1 }), ErrSignature},
		"new signature":     {change(rotate, func(e *Entry) { e.NewSignature = e.OldSignature }), ErrSignature},
		"missing signature": {change(rotate, func(e *Entry) { e.NewSignature = Signature{} }), ErrSignature},
		"more signatures":   {change(w.entry(Revoke, "carol", 2, 3, 0), func(e *Entry) { e.NewSignature = e.OldSignature }), ErrSignature},
		"invented":          {change(rotate, func(e *Entry) { e.New = key(5) }), ErrSignature},
		"another log":       {newWriter(8).entry(Claim, "dora", 1, 0, 5), ErrChain},
		"shape":             {change(rotate, func(e *Entry) { e.Kind = Claim }), ErrInvalid},
	} {
		if _, err := a.Next(c.e.Encode()); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if n, h := a.Head(); n != number || h != hash {
		t.Error("a refused entry moved the head")
	}
	if _, err := a.Next(w.write(rotate)); err != nil {
		t.Error(err)
	}
}

// TestExpect: what was told of the past must be so.
func TestExpect(t *testing.T) {
	w, a := newWriter(7), NewAudit(LogID{7})
	first, second := w.write(w.entry(Claim, "alice", 1, 0, 1)), w.write(w.entry(Claim, "bob", 1, 0, 2))
	a.Expect(2, Hash(first))
	if _, err := a.Next(first); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Next(second); !errors.Is(err, ErrChain) {
		t.Errorf("another entry: %v", err)
	}
	a.Expect(2, Hash(second))
	if _, err := a.Next(second); err != nil {
		t.Error(err)
	}
}

// TestStatement holds the bytes that are signed to what docs/protocol.md says.
func TestStatement(t *testing.T) {
	c := Change{Log: LogID{1: 9}, Kind: Rotate, Name: "ab", Version: 258, Old: Key{1}, New: Key{2}}
	want := "\x1dquicnprotochat name change v1" + "\x00\x09" + strings.Repeat("\x00", 30) + "\x02" + "\x02ab" + "\x00\x00\x00\x00\x00\x00\x01\x02" +
		"\x20\x01" + strings.Repeat("\x00", 31) + "\x20\x02" + strings.Repeat("\x00", 31)
	if got := c.Statement(); string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// FuzzDecode: what is taken for an entry is what encodes to the same bytes.
func FuzzDecode(f *testing.F) {
	w := newWriter(7)
	for _, e := range []Entry{w.entry(Claim, "alice", 1, 0, 1), w.entry(Rotate, strings.Repeat("a", 64), 2, 1, 2), w.entry(Revoke, "bob", 3, 1, 0)} {
		f.Add(e.Encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Decode(LogID{7}, b)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		if again := e.Encode(); !bytes.Equal(again, b) || len(b) > MaxEntry {
			t.Fatalf("%x became %x", b, again)
		}
	})
}
