package ds

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"quicnprotochat/quicrpc"
	"quicnprotochat/receipt"
	"quicnprotochat/schemas"
	"quicnprotochat/store"
	"quicnprotochat/store/memory"
)

var receiptKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, ed25519.SeedSize))

// startSigning is start with receipts.
func startSigning(t *testing.T) (*fixture, *receipt.Signer) {
	ctx, cancel := context.WithCancel(context.Background())
	signer := receipt.NewSigner(ctx, receiptKey)
	t.Cleanup(func() { cancel(); signer.Wait() })
	st := memory.New(memory.Options{})
	return &fixture{New(Config{Store: st, Receipts: signer}), st}, signer
}

// take reads a receipt off the wire.
func take(t *testing.T, at schemas.Receipt, err error) *receipt.Receipt {
	t.Helper()
	key, e1 := at.Key()
	root, e2 := at.Root()
	signature, e3 := at.Signature()
	leaves, e4 := at.Leaves()
	if err = errors.Join(err, e1, e2, e3, e4); err != nil {
		t.Fatal(err)
	}
	if len(key) == 0 {
		return nil
	}
	r := &receipt.Receipt{Key: [32]byte(key), Head: receipt.Head{Time: at.Time(), Size: at.Size(), Root: receipt.Hash(root)}, Signature: [64]byte(signature)}
	for i := range leaves.Len() {
		p := receipt.Proof{Index: leaves.At(i).Index()}
		path, err := leaves.At(i).Path()
		for j := range path.Len() {
			h, e := path.At(j)
			err = errors.Join(err, e)
			p.Path = append(p.Path, receipt.Hash(h))
		}
		if err != nil {
			t.Fatal(err)
		}
		r.Leaves = append(r.Leaves, p)
	}
	return r
}

func verify(t *testing.T, what string, r *receipt.Receipt, leaves ...receipt.Leaf) {
	t.Helper()
	if r == nil {
		t.Errorf("%s: no receipt", what)
		return
	}
	if err := receipt.Verify(receiptKey.Public().(ed25519.PublicKey), r, leaves); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

func (k *caller) submitAsking(t *testing.T, asked bool, payload []byte, id int, to ...byte) ([]store.Result, *receipt.Receipt) {
	t.Helper()
	f, release := k.ds.EnqueueMany(t.Context(), func(p schemas.DeliveryService_enqueueMany_Params) error {
		p.SetReceipts(asked)
		list, err := p.NewSubmissions(1)
		if err != nil {
			return err
		}
		keys, err := list.At(0).NewRecipients(int32(len(to)))
		for i, n := range to {
			err = errors.Join(err, keys.Set(i, key(n)))
		}
		return errors.Join(err, list.At(0).SetId(id16(id)), list.At(0).SetPayload(payload))
	})
	defer release()
	results, err := answers(f)
	if err != nil {
		t.Fatal(err)
	}
	res, err := f.Struct()
	if err != nil {
		t.Fatal(err)
	}
	at, err := res.Receipt()
	return results[0], take(t, at, err)
}

// TestReceiptMessages: a receipt names what was stored, and of duplicates only the id; who does not ask gets none and costs none.
func TestReceiptMessages(t *testing.T) {
	f, signer := startSigning(t)
	k := f.caller(t, 1)
	if _, r := k.submitAsking(t, false, []byte("x"), 1, 2); r != nil || signer.Stats() != (receipt.Stats{}) {
		t.Errorf("not asked for: %v, %+v", r, signer.Stats())
	}
	leaf := func(to byte, id, seq int, payload string) receipt.Leaf {
		l := receipt.Leaf{Kind: receipt.Message, Status: receipt.Known, Sender: [32]byte{1}, Recipient: [32]byte{to}, ID: [16]byte(id16(id)), Seq: uint64(seq)}
		if payload != "" {
			l.Status, l.Payload = receipt.Accepted, receipt.HashPayload([]byte(payload))
		}
		return l
	}
	_, r := k.submitAsking(t, true, []byte("y"), 2, 2, 3)
	verify(t, "two recipients", r, leaf(2, 2, 2, "y"), leaf(3, 2, 1, "y"))
	results, r := k.submitAsking(t, true, []byte("z"), 2, 2, 4)
	if results[0].Status != store.Duplicate {
		t.Errorf("%v", results)
	}
	verify(t, "a duplicate with another payload", r, leaf(2, 2, 2, ""), leaf(4, 2, 1, "z"))
	if s := signer.Stats(); s.Signatures != 2 || s.Leaves != 4 {
		t.Errorf("%+v", s)
	}
	plain := start(Limits{}).caller(t, 1)
	if _, r := plain.submitAsking(t, true, []byte("x"), 1, 2); r != nil {
		t.Error("a service without a signer signs")
	}
}

// TestReceiptGroups: posts and commits have receipts; a repeated one has the first's again, unless its payload is another.
func TestReceiptGroups(t *testing.T) {
	f, _ := startSigning(t)
	k := f.caller(t, 1)
	if err := k.create(testGroup, 0, nil); err != nil {
		t.Fatal(err)
	}
	message := mlsHeader(privateMessage, testGroup, 0, application)
	other := append(bytes.Clone(message), 1)
	post := func(payload []byte) *receipt.Receipt {
		t.Helper()
		f, release := k.ds.Post(t.Context(), func(p schemas.DeliveryService_post_Params) error {
			p.SetReceipts(true)
			list, err := p.NewPosts(1)
			if err != nil {
				return err
			}
			return errors.Join(list.At(0).SetGroupId([]byte(testGroup)), list.At(0).SetId(id16(1)), list.At(0).SetPayload(payload))
		})
		defer release()
		res, err := f.Struct()
		if err != nil {
			t.Fatal(quicrpc.FromRPC(err))
		}
		at, err := res.Receipt()
		return take(t, at, err)
	}
	leaf := func(kind receipt.Kind, id, seq int, payload []byte) receipt.Leaf {
		l := receipt.Leaf{Kind: kind, Status: receipt.Known, Sender: [32]byte{1}, Group: testGroup, ID: [16]byte(id16(id)), Seq: uint64(seq)}
		if payload != nil {
			l.Status, l.Payload = receipt.Accepted, receipt.HashPayload(payload)
		}
		return l
	}
	verify(t, "post", post(message), leaf(receipt.Post, 1, 1, message))
	verify(t, "repeated post", post(message), leaf(receipt.Post, 1, 1, message))
	verify(t, "another post with its id", post(other), leaf(receipt.Post, 1, 1, nil))

	commitIt := func(c change) (schemas.CommitStatus, *receipt.Receipt) {
		t.Helper()
		f, release := k.ds.Commit(t.Context(), func(p schemas.DeliveryService_commit_Params) error {
			p.SetReceipts(true)
			m, err := p.NewCommit()
			if err != nil {
				return err
			}
			return c.put(m)
		})
		defer release()
		res, err := f.Struct()
		if err != nil {
			t.Fatal(quicrpc.FromRPC(err))
		}
		out, err := res.Result()
		if err != nil {
			t.Fatal(err)
		}
		at, err := out.Receipt()
		return out.Status(), take(t, at, err)
	}
	won := mlsHeader(privateMessage, testGroup, 0, commit)
	for _, want := range []schemas.CommitStatus{schemas.CommitStatus_accepted, schemas.CommitStatus_duplicate} {
		status, r := commitIt(change{group: testGroup, id: 2})
		if status != want {
			t.Errorf("%v, want %v", status, want)
		}
		verify(t, status.String(), r, leaf(receipt.Commit, 2, 2, won))
	}
	if status, r := commitIt(change{group: testGroup, id: 3}); status != schemas.CommitStatus_wrongEpoch || r != nil {
		t.Errorf("a lost commit: %v, receipt %v", status, r)
	}
}

// TestReceiptAtEnd: when the signer has ended, what was stored stays stored, and the call says that it may be repeated.
func TestReceiptAtEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	signer := receipt.NewSigner(ctx, receiptKey)
	cancel()
	signer.Wait()
	f := &fixture{New(Config{Store: memory.New(memory.Options{}), Receipts: signer}), nil}
	c := newConn(1)
	ds := f.client(c)
	defer func() { ds.Release(); f.end(c) }()
	fut, release := ds.EnqueueMany(t.Context(), func(p schemas.DeliveryService_enqueueMany_Params) error {
		p.SetReceipts(true)
		list, err := p.NewSubmissions(1)
		if err != nil {
			return err
		}
		to, err := list.At(0).NewRecipients(1)
		return errors.Join(err, to.Set(0, key(2)), list.At(0).SetId(id16(1)), list.At(0).SetPayload([]byte("x")))
	})
	defer release()
	if _, err := answers(fut); !errors.Is(err, quicrpc.ErrUnavailable) {
		t.Error(err)
	}
}

// slowDisk is a store whose Enqueue returns to all callers at the same moment, as one write of the log does.
type slowDisk struct {
	store.Store
	written chan struct{}
}

func (s *slowDisk) Enqueue(ctx context.Context, messages []store.Message) ([]store.Result, error) {
	results, err := s.Store.Enqueue(ctx, messages)
	<-s.written
	return results, err
}

// TestReceiptsShare: the calls of many connections that one write answers share signatures.
func TestReceiptsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		signer := receipt.NewSigner(ctx, receiptKey)
		defer func() { cancel(); signer.Wait() }()
		disk := &slowDisk{memory.New(memory.Options{}), make(chan struct{})}
		f := &fixture{New(Config{Store: disk, Receipts: signer}), disk}
		defer f.Close()
		const callers = 64
		var all sync.WaitGroup
		for n := range callers {
			k := f.caller(t, byte(n+1))
			all.Go(func() {
				if _, r := k.submitAsking(t, true, []byte("x"), n, 100); r == nil {
					t.Error("no receipt")
				}
			})
		}
		synctest.Wait()
		close(disk.written)
		all.Wait()
		if s := f.Stats(); s.ReceiptLeaves != callers || s.ReceiptSignatures > callers/2 {
			t.Errorf("%d signatures for %d messages", s.ReceiptSignatures, s.ReceiptLeaves)
		}
		t.Logf("%d signatures for %d messages", f.Stats().ReceiptSignatures, callers)
	})
}
