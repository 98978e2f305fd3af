package client

import (
	"encoding/json"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// TestStateBefore: a state of the format before is taken over, with a message and a commit in its outbox that the server has and whose answers were lost.
func TestStateBefore(t *testing.T) {
	f := newFakeServer()
	dir := t.TempDir()
	a := newAccount(t, dir)
	g, err := a.CreateGroup("g")
	if err != nil {
		t.Fatal(err)
	}
	f.flush(t, a, false)
	if err := a.Send(g.ID, []byte("x")); err != nil {
		t.Fatal(err)
	}
	f.flush(t, a, true)
	if err := a.stage(g.ID, renewal, false); err != nil {
		t.Fatal(err)
	}
	if err := a.state.update(func(tx *bolt.Tx) error {
		_, last := tx.Bucket(bucketOutbox).Cursor().Last()
		var r outboxRecord
		if err := json.Unmarshal(last, &r); err != nil {
			return err
		}
		if _, err := (fakeSession{f, a.id}).CommitGroup(t.Context(), &GroupCommit{Group: g.ID, Epoch: r.Epoch, ID: r.ID, Message: r.Payload}); err != nil {
			return err
		}
		sent := tx.Bucket(bucketSent)
		var ids [][]byte
		if err := sent.ForEach(func(id, _ []byte) error {
			ids = append(ids, append([]byte(nil), id...))
			return nil
		}); err != nil {
			return err
		}
		for _, id := range ids {
			if err := sent.Put(id, []byte(g.ID)); err != nil {
				return err
			}
		}
		return tx.Bucket(bucketMeta).Put(metaVersion, []byte{stateBefore})
	}); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // what was taken over stays so
		if a, err = Open(dir, nil); err != nil {
			t.Fatal(err)
		}
		f.deliver(t, a, 0)
		n, err := a.Unsent()
		if err != nil || n != 0 {
			t.Errorf("%d entries still wait, %v", n, err)
		}
		if got, err := a.Group("g"); err != nil || got.Epoch != 1 {
			t.Errorf("epoch %d, %v", got.Epoch, err)
		}
		a.Close()
	}
}
