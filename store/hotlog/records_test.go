package hotlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"quicnprotochat/store"
)

func drawQueue(t *rapid.T) (q store.QueueID) {
	q.Shared = rapid.Bool().Draw(t, "shared")
	least := 0
	if q.Shared {
		least = 1
	} else {
		copy(q.Owner[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "owner"))
	}
	q.Group = string(rapid.SliceOfN(rapid.Byte(), least, store.MaxGroup).Draw(t, "group"))
	return q
}

func drawHeader(t *rapid.T, payload int) header {
	h := header{
		queue: drawQueue(t), seq: rapid.Uint64Min(1).Draw(t, "seq"), ackedCum: rapid.Uint64Max(1<<60).Draw(t, "ackedCum"),
		accepted: rapid.Int64Range(0, maxTime).Draw(t, "accepted"),
	}
	h.acked = h.seq - rapid.Uint64Range(1, h.seq).Draw(t, "above")
	h.cum = h.ackedCum + uint64(payload) + rapid.Uint64Max(1<<40).Draw(t, "held")
	h.expires = h.accepted + rapid.Int64Range(0, maxTime).Draw(t, "span")
	copy(h.id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
	return h
}

func drawCursor(t *rapid.T) cursor {
	c := cursor{
		queue: drawQueue(t), acked: rapid.Uint64Max(1<<62).Draw(t, "acked"), ackedCum: rapid.Uint64Max(1<<62).Draw(t, "cum"),
	}
	c.last = c.acked + rapid.Uint64Max(1<<62).Draw(t, "held")
	c.lastCum = c.ackedCum + rapid.Uint64Max(1<<62).Draw(t, "bytes")
	if c.cold = rapid.Uint64Max(min(maxCold, c.acked)).Draw(t, "cold"); c.cold > 0 {
		c.coldTop = rapid.Uint64Range(c.cold, c.acked).Draw(t, "top")
	}
	return c
}

// TestCodecs: what is encoded has the size that was said, and decodes to the same.
func TestCodecs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payload := rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "payload")
		h := drawHeader(t, len(payload))
		b := h.append(nil)
		if len(b) != h.size() || len(b) > maxHeader {
			t.Fatalf("header of %d bytes, said %d, at most %d", len(b), h.size(), maxHeader)
		}
		if got, p, err := decodeMessage(append(b, payload...)); err != nil || got != h || !bytes.Equal(p, payload) {
			t.Fatalf("%+v, %v, want %+v", got, err, h)
		}
		cursors := rapid.SliceOfN(rapid.Custom(drawCursor), 0, 4).Draw(t, "cursors")
		at := rapid.Int64Range(0, maxTime).Draw(t, "at")
		b = appendTime([]byte{recordAck}, at)
		n := len(b)
		for i := range cursors {
			b = cursors[i].append(b)
			if n += cursors[i].size(); n != len(b) || cursors[i].size() > maxCursor {
				t.Fatalf("cursor of %d bytes", cursors[i].size())
			}
		}
		i := 0
		err := decodeAck(b, func(when int64, c *cursor) {
			if when != at || *c != cursors[i] {
				t.Fatalf("%+v, want %+v", c, cursors[i])
			}
			i++
		})
		if err != nil || i != len(cursors) {
			t.Fatalf("%d cursors: %v", i, err)
		}
	})
}

func TestForgetAndColdCodecs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := forget{floor: rapid.Uint64().Draw(t, "floor")}
		for range rapid.IntRange(0, forgetAtOnce).Draw(t, "groups") {
			f.groups = append(f.groups, string(rapid.SliceOfN(rapid.Byte(), 0, store.MaxGroup).Draw(t, "group")))
		}
		b := f.append(nil)
		if got, err := decodeForget(b); err != nil || !reflect.DeepEqual(got, f) || len(b) > maxForget {
			t.Fatalf("%+v, %v", got, err)
		}
		m := cold{accepted: rapid.Int64Range(0, maxTime).Draw(t, "accepted"), cum: rapid.Uint64().Draw(t, "cum"), bucket: rapid.Uint32().Draw(t, "bucket")}
		m.expires = m.accepted + rapid.Int64Range(0, maxTime).Draw(t, "span")
		m.payload = rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "payload")
		got, err := decodeCold(m.append(nil))
		if err != nil || got.accepted != m.accepted || got.expires != m.expires || got.cum != m.cum || got.bucket != m.bucket || !bytes.Equal(got.payload, m.payload) {
			t.Fatalf("%+v, %v, want %+v", got, err, m)
		}
	})
}

func TestChanges(t *testing.T) {
	seal, err := newSealer(make([]byte, KeySize))
	if err != nil {
		t.Fatal(err)
	}
	tr := &tree{seal: seal}
	var c changes
	c.set([]byte("a"), nil)
	c.delete([]byte("b"))
	c.setSealed(tr, []byte("c"), []byte("value"))
	var keys []string
	err = c.each(func(key, value []byte) error {
		keys = append(keys, string(key))
		switch string(key) {
		case "a":
			if value == nil || len(value) != 0 {
				t.Errorf("empty value came back as %v", value)
			}
		case "b":
			if value != nil {
				t.Errorf("deletion came back as %v", value)
			}
		case "c":
			if plain, err := seal.open(key, value); err != nil || string(plain) != "value" {
				t.Errorf("%q, %v", plain, err)
			}
			if _, err := seal.open([]byte("d"), value); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("under another key: %v", err)
			}
		}
		return nil
	})
	if err != nil || !reflect.DeepEqual(keys, []string{"a", "b", "c"}) {
		t.Fatalf("%v, %v", keys, err)
	}
}

// TestMany: the parts of a record stand where the decoder says.
func TestMany(t *testing.T) {
	parts := [][]byte{{recordPad}, {recordTree}, bytes.Repeat([]byte{recordAck}, 300)}
	b := []byte{recordMany}
	for _, p := range parts {
		b = append(binary.AppendUvarint(b, uint64(len(p))), p...)
	}
	i := 0
	err := decodeMany(b, func(at int, p []byte) error {
		if !bytes.Equal(p, parts[i]) || !bytes.Equal(b[at:at+len(p)], p) {
			t.Errorf("part %d at %d: %x", i, at, p)
		}
		i++
		return nil
	})
	if err != nil || i != len(parts) {
		t.Fatalf("%d parts: %v", i, err)
	}
	for _, bad := range [][]byte{nil, {recordMany, 0}, {recordMany, 1, recordMany}, {recordMany, 2, 0}, {recordMany, 0x81, 0, 0}} {
		if err := decodeMany(bad, func(int, []byte) error { return nil }); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%x: %v", bad, err)
		}
	}
}

// FuzzRecords: whatever is on disk, a decoder returns what encodes to the same bytes, or ErrCorrupt.
func FuzzRecords(f *testing.F) {
	h := header{queue: store.QueueID{Group: "g"}, seq: 7, acked: 3, cum: 100, ackedCum: 10, accepted: 1_750_000_000_000, expires: 1_750_000_360_000}
	f.Add(append(h.append(nil), "payload"...))
	c := cursor{queue: store.QueueID{Group: "g", Shared: true}, acked: 5, last: 9, ackedCum: 3, lastCum: 8, cold: 2, coldTop: 4}
	f.Add(c.append(appendTime([]byte{recordAck}, 77)))
	f.Add((&forget{floor: 300, groups: []string{"", "group"}}).append(nil))
	var tree changes
	tree.set([]byte("key"), []byte("value"))
	tree.delete([]byte("key"))
	f.Add(append([]byte{recordTree}, tree...))
	f.Add(append([]byte{recordMany, byte(1 + len(tree)), recordTree}, tree...))
	f.Add((&cold{accepted: 1, expires: 5, payload: []byte("p")}).append(nil))
	f.Add((&pool{next: 300, first: 7, singles: 2, lasts: []uint64{299}}).append(nil))
	f.Add((&packageMeta{last: true, notAfter: 1_750_000_000}).append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		check := func(what string, err error, again []byte) {
			if err != nil && !errors.Is(err, store.ErrCorrupt) {
				t.Fatalf("%s: %v", what, err)
			}
			if err == nil && again != nil && !bytes.Equal(again, b) {
				t.Fatalf("%s: %x became %x", what, b, again)
			}
		}
		if p, err := decodePool(b); err == nil {
			check("pool", nil, p.append(nil))
		} else {
			check("pool", err, nil)
		}
		if m, err := decodePackageMeta(b); err == nil {
			check("package", nil, m.append(nil))
		} else {
			check("package", err, nil)
		}
		if h, payload, err := decodeMessage(b); err == nil {
			check("message", nil, append(h.append(nil), payload...))
		} else {
			check("message", err, nil)
		}
		again := []byte{recordAck}
		err := decodeAck(b, func(at int64, c *cursor) {
			if len(again) == 1 {
				again = appendTime(again, at)
			}
			again = c.append(again)
		})
		if len(again) == 1 {
			again = nil
		}
		check("acknowledgement", err, again)
		if f, err := decodeForget(b); err == nil {
			check("forget", nil, f.append(nil))
		} else {
			check("forget", err, nil)
		}
		if m, err := decodeCold(b); err == nil {
			check("message in the tree", nil, m.append(nil))
		} else {
			check("message in the tree", err, nil)
		}
		_, _, err = decodeMeta(b)
		check("state", err, nil)
		var list changes
		err = changes(b).each(func(key, value []byte) error {
			if value == nil {
				list.delete(key)
			} else {
				list.set(key, value)
			}
			return nil
		})
		if len(b) == 0 {
			list = nil
		}
		check("changes", err, list)
		check("many", decodeMany(b, func(int, []byte) error { return nil }), nil)
	})
}
