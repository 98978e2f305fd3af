package receipt

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
)

var testKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

func public() ed25519.PublicKey { return testKey.Public().(ed25519.PublicKey) }

func message(n int) Leaf {
	return Leaf{Kind: Message, Status: Accepted, Sender: [32]byte{1}, Recipient: [32]byte{2, byte(n)}, Group: "group", ID: [16]byte{byte(n), byte(n >> 8)},
		Payload: HashPayload([]byte(fmt.Sprint(n))), Seq: uint64(n + 1)}
}

func messages(from, n int) (leaves []Leaf) {
	for i := range n {
		leaves = append(leaves, message(from+i))
	}
	return leaves
}

func newSigner(t testing.TB) *Signer {
	ctx, cancel := context.WithCancel(context.Background())
	s := NewSigner(ctx, testKey)
	t.Cleanup(func() { cancel(); s.Wait() })
	return s
}

// TestLeafBytes: a leaf is as docs/protocol.md says.
func TestLeafBytes(t *testing.T) {
	l := Leaf{Kind: Post, Status: Accepted, Sender: [32]byte{0xaa}, Group: "gg", ID: [16]byte{0xbb}, Payload: Hash{0xcc}, Seq: 0x0102}
	want := "01020101" + "aa" + zeros(31) + zeros(32) + "02" + "6767" + "bb" + zeros(15) + "cc" + zeros(31) + "0000000000000102"
	if got := hex.EncodeToString(l.append(nil)); got != want {
		t.Errorf("post: %s, want %s", got, want)
	}
	l = Leaf{Kind: Message, Status: Known, Recipient: [32]byte{0xdd}, Seq: 1}
	want = "01010200" + zeros(32) + "dd" + zeros(31) + "00" + zeros(16) + zeros(32) + "0000000000000001"
	if got := hex.EncodeToString(l.append(nil)); got != want {
		t.Errorf("message: %s, want %s", got, want)
	}
	h := Head{Time: 3, Size: 4, Root: Hash{5}}
	want = hex.EncodeToString([]byte("quicnprotochat receipt")) + "01" + "0000000000000003" + "0000000000000004" + "05" + zeros(31)
	if got := hex.EncodeToString(h.signed()); got != want {
		t.Errorf("signed: %s, want %s", got, want)
	}
}

func zeros(n int) string { return hex.EncodeToString(make([]byte, n)) }

// TestForged: whatever is changed in a receipt, or in what it is for, it proves nothing any more.
func TestForged(t *testing.T) {
	s := newSigner(t)
	sign := func() (*Receipt, []Leaf) {
		leaves := messages(0, 5)
		r, err := s.Sign(t.Context(), leaves)
		if err != nil {
			t.Fatal(err)
		}
		return r, leaves
	}
	r, leaves := sign()
	if err := Verify(public(), r, leaves); err != nil {
		t.Fatal(err)
	}
	another, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := Verify(another, r, leaves); !errors.Is(err, ErrReceipt) {
		t.Errorf("another key: %v", err)
	}
	for name, forge := range map[string]func(r *Receipt, l []Leaf) []Leaf{
		"key":           func(r *Receipt, l []Leaf) []Leaf { r.Key[0]++; return l },
		"time":          func(r *Receipt, l []Leaf) []Leaf { r.Head.Time++; return l },
		"size":          func(r *Receipt, l []Leaf) []Leaf { r.Head.Size++; return l },
		"root":          func(r *Receipt, l []Leaf) []Leaf { r.Head.Root[0]++; return l },
		"signature":     func(r *Receipt, l []Leaf) []Leaf { r.Signature[9]++; return l },
		"index":         func(r *Receipt, l []Leaf) []Leaf { r.Leaves[4].Index++; return l },
		"huge index":    func(r *Receipt, l []Leaf) []Leaf { r.Leaves[4].Index = 1<<64 - 1; return l },
		"path":          func(r *Receipt, l []Leaf) []Leaf { r.Leaves[2].Path[1][0]++; return l },
		"no path":       func(r *Receipt, l []Leaf) []Leaf { r.Leaves[2].Path = nil; return l },
		"fewer proofs":  func(r *Receipt, l []Leaf) []Leaf { r.Leaves = r.Leaves[1:]; return l },
		"none":          func(r *Receipt, l []Leaf) []Leaf { r.Leaves = nil; return nil },
		"fewer leaves":  func(_ *Receipt, l []Leaf) []Leaf { return l[1:] },
		"another order": func(_ *Receipt, l []Leaf) []Leaf { l[0], l[1] = l[1], l[0]; return l },
		"twice":         func(r *Receipt, l []Leaf) []Leaf { l[1], r.Leaves[1] = l[0], r.Leaves[0]; return l },
		"kind":          func(_ *Receipt, l []Leaf) []Leaf { l[0].Kind = Post; return l },
		"no kind":       func(_ *Receipt, l []Leaf) []Leaf { l[0].Kind = 0; return l },
		"status":        func(_ *Receipt, l []Leaf) []Leaf { l[0].Status, l[0].Payload = Known, Hash{}; return l },
		"sender":        func(_ *Receipt, l []Leaf) []Leaf { l[0].Sender[0]++; return l },
		"recipient":     func(_ *Receipt, l []Leaf) []Leaf { l[0].Recipient[0]++; return l },
		"group":         func(_ *Receipt, l []Leaf) []Leaf { l[0].Group = "groups"; return l },
		"long group":    func(_ *Receipt, l []Leaf) []Leaf { l[0].Group = string(make([]byte, 1000)); return l },
		"id":            func(_ *Receipt, l []Leaf) []Leaf { l[0].ID[0]++; return l },
		"payload":       func(_ *Receipt, l []Leaf) []Leaf { l[0].Payload[0]++; return l },
		"seq":           func(_ *Receipt, l []Leaf) []Leaf { l[0].Seq++; return l },
	} {
		r, leaves := sign()
		leaves = forge(r, leaves)
		if err := Verify(public(), r, leaves); !errors.Is(err, ErrReceipt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSignerRefuses: a leaf whose bytes could stand for another is not signed.
func TestSignerRefuses(t *testing.T) {
	s := newSigner(t)
	for name, l := range map[string]Leaf{
		"kind":       {Kind: 4, Status: Accepted, Group: "g"},
		"status":     {Kind: Message, Status: 3},
		"no status":  {Kind: Message},
		"group":      {Kind: Message, Status: Accepted, Group: string(make([]byte, MaxGroup+1))},
		"recipient":  {Kind: Post, Status: Accepted, Group: "g", Recipient: [32]byte{1}},
		"post to no": {Kind: Post, Status: Accepted},
		"known":      {Kind: Message, Status: Known, Payload: Hash{1}},
	} {
		if _, err := s.Sign(t.Context(), []Leaf{l}); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.Sign(t.Context(), nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("no leaf: %v", err)
	}
	if s.Stats() != (Stats{}) {
		t.Errorf("something was signed: %+v", s.Stats())
	}
}

// TestTogether: all who wait when the signer comes to it share one signature, and each has a receipt of its own messages.
func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := &Signer{key: testKey, ctx: ctx, wake: make(chan struct{}, 1), over: make(chan struct{})}
		const callers = 100
		var all sync.WaitGroup
		for i := range callers {
			all.Go(func() {
				leaves := messages(1000*i, 1+i%7)
				r, err := s.Sign(ctx, leaves)
				if err == nil {
					err = Verify(public(), r, leaves)
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		go s.run()
		all.Wait()
		if stats := s.Stats(); stats.Signatures != 1 || stats.Leaves < callers {
			t.Errorf("%+v", stats)
		}
		cancel()
		s.Wait()
		if _, err := s.Sign(t.Context(), messages(0, 1)); !errors.Is(err, ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// TestSignerGivenUp: a caller that gives up does not hold up others.
func TestSignerGivenUp(t *testing.T) {
	s := &Signer{key: testKey, ctx: t.Context(), wake: make(chan struct{}, 1), over: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Sign(ctx, messages(0, 1)); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	go s.run()
	r, err := s.Sign(context.Background(), messages(5, 2))
	if err != nil || Verify(public(), r, messages(5, 2)) != nil {
		t.Error(err)
	}
}

// TestTakeBounded: a tree has at most maxLeaves leaves, but for a call that has more alone; nobody is forgotten.
func TestTakeBounded(t *testing.T) {
	s := new(Signer)
	for _, n := range []int{maxLeaves - 1, 1, 1, 2 * maxLeaves, 5} {
		s.waiting = append(s.waiting, &request{leaves: make([]Hash, n)})
	}
	var taken []int
	for requests := s.take(); len(requests) > 0; requests = s.take() {
		taken = append(taken, len(requests))
	}
	if !slices.Equal(taken, []int{2, 1, 1, 1}) {
		t.Errorf("taken %v", taken)
	}
}

// TestSignerProperties: whatever several callers ask for at once, each receipt holds for its own messages and not for another's.
func TestSignerProperties(t *testing.T) {
	s := newSigner(t)
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(1, 9), 1, 12).Draw(t, "calls")
		receipts := make([]*Receipt, len(sizes))
		errs := make([]error, len(sizes))
		var all sync.WaitGroup
		for i, n := range sizes {
			all.Go(func() { receipts[i], errs[i] = s.Sign(context.Background(), messages(100*i, n)) })
		}
		all.Wait()
		for i, n := range sizes {
			if errs[i] != nil {
				t.Fatal(errs[i])
			}
			if err := Verify(public(), receipts[i], messages(100*i, n)); err != nil {
				t.Fatal(err)
			}
			if err := Verify(public(), receipts[i], messages(100*i+1, n)); !errors.Is(err, ErrReceipt) {
				t.Fatalf("holds for other messages: %v", err)
			}
		}
	})
}

// FuzzVerify: no receipt that was not signed is taken, and none makes Verify fail otherwise.
func FuzzVerify(f *testing.F) {
	leaves := messages(0, 3)
	hashes := []Hash{leaves[0].hash(), leaves[1].hash(), leaves[2].hash()}
	t := newTree(hashes)
	head := Head{Time: 1, Size: 3, Root: t.root()}
	signature := ed25519.Sign(testKey, head.signed())
	f.Add(int64(1), uint64(3), head.Root[:], signature, uint64(0), hashes[1][:])
	f.Add(int64(0), uint64(1), head.Root[:], signature, uint64(1<<64-1), []byte{})
	f.Fuzz(func(t *testing.T, time int64, size uint64, root, sig []byte, index uint64, path []byte) {
		r := &Receipt{Key: [32]byte(public()), Head: Head{Time: time, Size: size}, Leaves: []Proof{{Index: index}}}
		copy(r.Head.Root[:], root)
		copy(r.Signature[:], sig)
		for ; len(path) >= 32; path = path[32:] {
			r.Leaves[0].Path = append(r.Leaves[0].Path, Hash(path))
		}
		err := Verify(public(), r, leaves[:1])
		if err != nil && !errors.Is(err, ErrReceipt) {
			t.Fatal(err)
		}
		if genuine := r.Head == head && bytes.Equal(r.Signature[:], signature); err == nil && !genuine {
			t.Fatalf("taken: %+v", r)
		}
	})
}

// BenchmarkSign tells leaves a second, and leaves a signature, with so many callers at once.
func BenchmarkSign(b *testing.B) {
	for _, callers := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			s := newSigner(b)
			leaf := messages(0, 1)
			var all sync.WaitGroup
			for i := range callers {
				all.Go(func() {
					for n := i; n < b.N; n += callers {
						if _, err := s.Sign(context.Background(), leaf); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			stats := s.Stats()
			b.ReportMetric(float64(stats.Leaves)/b.Elapsed().Seconds(), "leaves/s")
			b.ReportMetric(float64(stats.Leaves)/float64(max(stats.Signatures, 1)), "leaves/signature")
		})
	}
}
