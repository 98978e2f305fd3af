package pebble

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"quicnprotochat/store"
)

// FuzzRecords: what is on disk may be anything. A decoder refuses it as corrupt, or what it returns encodes to the same bytes.
func FuzzRecords(f *testing.F) {
	f.Add((&head{number: 1, acked: 2, last: 3, bytes: 4, touched: 5, bucket: 6, mask: 7}).append(nil))
	f.Add((&owner{queues: 1, floor: 2, next: 3, first: 4, singles: 5}).append(nil))
	f.Add((&meta{notAfter: 1, fingerprint: [32]byte{2}, initKey: [32]byte{3}}).append(nil))
	f.Add(appendMessage(nil, 1, &store.Message{ID: store.MessageID{2}, Payload: []byte{3}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := decodeHead(b); err == nil {
			same(t, h.append(nil)[:headSize-1], b[:headSize-1])
		} else if !errors.Is(err, store.ErrCorrupt) {
			t.Fatal(err)
		}
		if o, err := decodeOwner(b); err == nil {
			same(t, o.append(nil), b)
		} else if !errors.Is(err, store.ErrCorrupt) {
			t.Fatal(err)
		}
		if m, err := decodeMeta(b); err == nil {
			same(t, m.append(nil), b)
		} else if !errors.Is(err, store.ErrCorrupt) {
			t.Fatal(err)
		}
		if d, err := decodeMessage(1, b); err == nil {
			same(t, d.Payload, b[messageHeader:])
		} else if !errors.Is(err, store.ErrCorrupt) {
			t.Fatal(err)
		}
	})
}

func same(t *testing.T, a, b []byte) {
	t.Helper()
	if !bytes.Equal(a, b) {
		t.Fatalf("%x became %x", b, a)
	}
}

// TestKeysApart: the keys of different queues, owners and numbers are different and in order.
func TestKeysApart(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		q1, q2, s1, s2 := rapid.Uint64().Draw(r, "q1"), rapid.Uint64().Draw(r, "q2"), rapid.Uint64().Draw(r, "s1"), rapid.Uint64().Draw(r, "s2")
		a, b := appendMessageKey(nil, q1, s1), appendMessageKey(nil, q2, s2)
		want := 0
		if q1 < q2 || q1 == q2 && s1 < s2 {
			want = -1
		} else if q1 != q2 || s1 != s2 {
			want = 1
		}
		if got := bytes.Compare(a, b); got != want {
			r.Fatalf("%x and %x compare as %d, want %d", a, b, got, want)
		}
		var id store.Identity
		copy(id[:], rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 0xff}), 32, 32).Draw(r, "owner"))
		key := append(ownerKey('h', &id), rapid.SliceOfN(rapid.SampledFrom([]byte{0, 0xff}), 0, 64).Draw(r, "rest")...)
		if end := ownerEnd('h', &id); bytes.Compare(key, end) >= 0 || bytes.HasPrefix(end, ownerKey('h', &id)) {
			r.Fatalf("%x is not below %x", key, end)
		}
	})
}

// TestSawID: the mask names every bucket of the last 32 that was seen, and none beside.
func TestSawID(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		h, seen := &head{}, map[uint32]bool{}
		newest := uint32(0)
		for _, b := range rapid.SliceOfN(rapid.Uint32Range(100, 180), 1, 40).Draw(r, "buckets") {
			if b+31 < newest {
				continue // a clock that goes back by weeks
			}
			h.sawID(b)
			seen[b] = true
			newest = max(newest, b)
		}
		if h.bucket != newest {
			r.Fatalf("newest %d, want %d", h.bucket, newest)
		}
		for n := range uint32(32) {
			if got := h.mask&(1<<n) != 0; got != seen[newest-n] {
				r.Fatalf("bucket %d: %v, want %v", newest-n, got, seen[newest-n])
			}
		}
	})
}
