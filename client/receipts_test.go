package client

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"testing"

	capnp "capnproto.org/go/capnp/v3"

	"quicnprotochat/receipt"
	"quicnprotochat/schemas"
)

var receiptTestKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{5}, ed25519.SeedSize))

// signedReceipt is what a server answers for two messages, one stored, one known.
func signedReceipt(t testing.TB) (*receipt.Receipt, []receipt.Leaf) {
	ctx, cancel := context.WithCancel(context.Background())
	s := receipt.NewSigner(ctx, receiptTestKey)
	defer func() { cancel(); s.Wait() }()
	leaves := []receipt.Leaf{
		{Kind: receipt.Message, Status: receipt.Accepted, Sender: [32]byte{1}, Recipient: [32]byte{2}, ID: [16]byte{3}, Payload: receipt.HashPayload([]byte("x")), Seq: 4},
		{Kind: receipt.Message, Status: receipt.Known, Sender: [32]byte{1}, Recipient: [32]byte{2}, ID: [16]byte{4}, Seq: 2},
	}
	r, err := s.Sign(ctx, leaves)
	if err != nil {
		t.Fatal(err)
	}
	return r, leaves
}

// wire writes a receipt as a server does.
func wire(t testing.TB, r *receipt.Receipt) schemas.Receipt {
	_, seg, err := capnp.NewMessage(capnp.SingleSegment(nil))
	if err != nil {
		t.Fatal(err)
	}
	out, err := schemas.NewRootReceipt(seg)
	if err != nil {
		t.Fatal(err)
	}
	out.SetTime(r.Head.Time)
	out.SetSize(r.Head.Size)
	leaves, e1 := out.NewLeaves(int32(len(r.Leaves)))
	err = errors.Join(e1, out.SetKey(r.Key[:]), out.SetRoot(r.Head.Root[:]), out.SetSignature(r.Signature[:]))
	for i, p := range r.Leaves {
		leaves.At(i).SetIndex(p.Index)
		path, e := leaves.At(i).NewPath(int32(len(p.Path)))
		err = errors.Join(err, e)
		for j := range p.Path {
			err = errors.Join(err, path.Set(j, p.Path[j][:]))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// asked are the messages of the receipt as the client knows them: of a duplicate, too, it knows the payload.
func asked(leaves []receipt.Leaf) []receipt.Leaf {
	out := append([]receipt.Leaf(nil), leaves...)
	out[1].Payload = receipt.HashPayload([]byte("y"))
	return out
}

// TestReadReceipt: a receipt off the wire holds for what it is for; one that is not whole, or for something else, is ErrReceipt.
func TestReadReceipt(t *testing.T) {
	key := receiptTestKey.Public().(ed25519.PublicKey)
	r, leaves := signedReceipt(t)
	got, err := readReceipt(wire(t, r), key, asked(leaves))
	if err != nil || got.Messages[0] != leaves[0] || got.Messages[1] != leaves[1] {
		t.Fatalf("%+v %v", got, err)
	}
	if got, err := readReceipt(schemas.Receipt{}, key, nil); got != nil || err != nil {
		t.Errorf("nothing stored: %v %v", got, err)
	}
	long := *r
	long.Leaves = []receipt.Proof{{Path: make([]receipt.Hash, maxReceiptPath+1)}, {Index: 1}}
	fewer := *r
	fewer.Leaves = r.Leaves[:1]
	short := wire(t, r)
	if err := short.SetSignature(r.Signature[:63]); err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]schemas.Receipt{"empty": {}, "long proof": wire(t, &long), "fewer leaves": wire(t, &fewer), "short signature": short} {
		if got, err := readReceipt(at, key, asked(leaves)); got != nil || !errors.Is(err, ErrReceipt) {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
	stored := asked(leaves)
	stored[1].Status = receipt.Accepted
	if _, err := readReceipt(wire(t, r), key, stored); !errors.Is(err, ErrReceipt) {
		t.Errorf("known, where the answer was stored: %v", err)
	}
	if _, err := readReceipt(wire(t, r), nil, asked(leaves)); !errors.Is(err, ErrReceipt) {
		t.Errorf("no key: %v", err)
	}
}

// FuzzReceipt: whatever a server sends as a receipt, it is taken only if it is signed for the messages, else it is ErrReceipt.
func FuzzReceipt(f *testing.F) {
	key := receiptTestKey.Public().(ed25519.PublicKey)
	r, leaves := signedReceipt(f)
	data, err := wire(f, r).Message().Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := capnp.Unmarshal(data)
		if err != nil {
			return
		}
		at, err := schemas.ReadRootReceipt(m)
		if err != nil {
			return
		}
		got, err := readReceipt(at, key, asked(leaves))
		switch {
		case err != nil && !errors.Is(err, ErrReceipt):
			t.Fatal(err)
		case err == nil && (got.Head.Root != r.Head.Root || got.Head.Size != 2 || got.Messages[0] != leaves[0]): // the time is each process's own
			t.Fatalf("taken: %+v", got)
		}
	})
}
