package integration

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"quicnprotochat/certs"
	"quicnprotochat/client"
	"quicnprotochat/receipt"
	"quicnprotochat/schemas"
)

func receiptKeyOf(t *testing.T, s *client.Session) ed25519.PublicKey {
	t.Helper()
	info, err := s.ServerInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info.ReceiptKey
}

// TestReceipts: what a client is given proves to a third what was accepted, of whom, and in which order; also for the largest call.
func TestReceipts(t *testing.T) {
	d := startInProcess(t)
	alice, bob := newPerson(t), newPerson(t)
	s := dial(t, d.Addr().String(), alice)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	key := receiptKeyOf(t, s)

	sub := client.Submission{ID: client.MessageID{1}, Payload: []byte("hello"), Recipients: []certs.Identity{bob.id}}
	for _, want := range []receipt.Status{receipt.Accepted, receipt.Known} {
		out, r, err := s.SubmitWithReceipt(ctx, key, []client.Submission{sub})
		if err != nil || out[0][0].Seq != 1 || len(r.Messages) != 1 {
			t.Fatalf("%v %+v %v", out, r, err)
		}
		m := r.Messages[0]
		if m.Status != want || m.Sender != alice.id || m.Recipient != bob.id || m.Seq != 1 || m.ID != sub.ID || (want == receipt.Accepted) != (m.Payload == receipt.HashPayload(sub.Payload)) {
			t.Errorf("receipt for %+v", m)
		}
		if err := receipt.Verify(key, &r.Receipt, r.Messages); err != nil {
			t.Error(err)
		}
	}
	out, r, err := s.SubmitWithReceipt(ctx, make([]byte, 32), []client.Submission{sub})
	if !errors.Is(err, client.ErrReceipt) || !errors.Is(err, receipt.ErrReceipt) || r != nil || out[0][0].Status != schemas.EnqueueStatus_duplicate {
		t.Errorf("another key: %v %v %v", out, r, err)
	}

	large := client.Submission{ID: client.MessageID{2}, Group: "queue", Payload: []byte("to many")}
	for i := range 1024 {
		var id certs.Identity
		binary.BigEndian.PutUint32(id[:], uint32(i+1))
		large.Recipients = append(large.Recipients, id)
	}
	if _, r, err = s.SubmitWithReceipt(ctx, key, []client.Submission{large}); err != nil || len(r.Messages) != 1024 {
		t.Errorf("1,024 recipients: %v", err)
	}
}

// TestReceiptsOfGroup: the same for posts and commits.
func TestReceiptsOfGroup(t *testing.T) {
	d := startInProcess(t)
	s := dial(t, d.Addr().String(), newPerson(t))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	key := receiptKeyOf(t, s)
	const group = "a group of bytes"
	if err := s.CreateGroup(ctx, group, 0, nil); err != nil {
		t.Fatal(err)
	}
	application := commitHeader(group, 0)
	application[5+len(group)+8] = 1 // content type
	posts := []client.GroupPost{{Group: group, ID: client.MessageID{1}, Payload: application}, {Group: "not such a group", ID: client.MessageID{2}, Payload: append([]byte{0, 1, 0, 2, 16}, "not such a group\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00"...)}}
	out, r, err := s.PostWithReceipt(ctx, key, posts)
	if err != nil || out[1].Status != schemas.EnqueueStatus_notMember || len(r.Messages) != 1 || r.Messages[0].Kind != receipt.Post || r.Messages[0].Status != receipt.Accepted {
		t.Fatalf("post: %v %+v %v", out, r, err)
	}
	c := &client.GroupCommit{Group: group, ID: client.MessageID{3}, Message: commitHeader(group, 0)}
	for _, want := range []schemas.CommitStatus{schemas.CommitStatus_accepted, schemas.CommitStatus_duplicate} {
		got, r, err := s.CommitGroupWithReceipt(ctx, key, c)
		if err != nil || got.Status != want || len(r.Messages) != 1 || r.Messages[0].Kind != receipt.Commit || r.Messages[0].Status != receipt.Accepted || r.Messages[0].Seq != 2 {
			t.Fatalf("commit: %v %+v %v", got, r, err)
		}
	}
	c.ID[0]++
	if got, r, err := s.CommitGroupWithReceipt(ctx, key, c); err != nil || got.Status != schemas.CommitStatus_wrongEpoch || r != nil {
		t.Errorf("a lost commit: %v %v %v", got, r, err)
	}
}

// TestReceiptsTogether: receipts of many connections at once hold, each for its own messages.
func TestReceiptsTogether(t *testing.T) {
	d := startInProcess(t)
	bob := newPerson(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var all sync.WaitGroup
	defer all.Wait()
	for n := range 16 {
		s := dial(t, d.Addr().String(), newPerson(t))
		key := receiptKeyOf(t, s)
		all.Go(func() {
			for i := range 10 {
				sub := client.Submission{ID: client.MessageID{byte(n), byte(i)}, Payload: fmt.Append(nil, n, i), Recipients: []certs.Identity{bob.id}}
				if _, _, err := s.SubmitWithReceipt(ctx, key, []client.Submission{sub}); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestReceiptKey: the key is made once, nobody else may read it, and a receipt of before a restart can be checked after it.
func TestReceiptKey(t *testing.T) {
	dir := t.TempDir()
	var before ed25519.PublicKey
	t.Run("before", func(t *testing.T) {
		d := startInProcessAt(t, dir)
		before = receiptKeyOf(t, dial(t, d.Addr().String(), newPerson(t)))
	})
	info, err := os.Stat(filepath.Join(dir, "receipt.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	d := startInProcessAt(t, dir)
	if after := receiptKeyOf(t, dial(t, d.Addr().String(), newPerson(t))); len(before) != ed25519.PublicKeySize || !after.Equal(before) {
		t.Errorf("key %x, before %x", after, before)
	}
}
