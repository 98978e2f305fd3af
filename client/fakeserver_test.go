package client

import (
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"quicnprotochat/certs"
	"quicnprotochat/mls"
	"quicnprotochat/schemas"
)

// fakeServer keeps queues in memory, in place of the daemon: the account's own steps are what is tested here.
type fakeServer struct {
	queues map[certs.Identity]map[string][]Envelope
	ids    map[string]uint64
	full   map[certs.Identity]bool // who takes nothing
}

func newFakeServer() *fakeServer {
	return &fakeServer{queues: make(map[certs.Identity]map[string][]Envelope), ids: make(map[string]uint64)}
}

func (f *fakeServer) submit(s Submission) []Outcome {
	out := make([]Outcome, len(s.Recipients))
	for i, r := range s.Recipients {
		key := fmt.Sprint(r, s.Group, s.ID)
		if seq, ok := f.ids[key]; ok {
			out[i] = Outcome{Status: schemas.EnqueueStatus_duplicate, Seq: seq}
			continue
		}
		if f.full[r] {
			out[i] = Outcome{Status: schemas.EnqueueStatus_quotaExceeded}
			continue
		}
		if f.queues[r] == nil {
			f.queues[r] = make(map[string][]Envelope)
		}
		q := f.queues[r][s.Group]
		seq := uint64(len(q) + 1)
		f.queues[r][s.Group] = append(q, Envelope{Seq: seq, ID: s.ID, Payload: s.Payload, AcceptedAt: time.Now()})
		f.ids[key] = seq
		out[i] = Outcome{Status: schemas.EnqueueStatus_stored, Seq: seq}
	}
	return out
}

// flush does what Account.Flush does; lost says that the answer to the first submission is lost, as when the connection breaks.
func (f *fakeServer) flush(t fataler, a *Account, lost bool) {
	st := flush{full: make(map[certs.Identity]bool)}
	for {
		batch, err := a.nextBatch(&st)
		if err != nil {
			t.Fatalf("outbox: %v", err)
		}
		for _, e := range batch {
			out := f.submit(Submission{ID: e.rec.ID, Group: e.rec.queue(), Payload: e.rec.Payload, Recipients: e.to})
			if lost {
				return
			}
			if more, err := a.settle(&st, e, out); err != nil || more {
				t.Fatalf("settle: %v, more %v", err, more)
			}
			st.after = e.key
		}
		if len(batch) == 0 {
			return
		}
	}
}

// deliver hands an account all that it has not taken, from an arbitrary earlier place on: redelivery is normal.
func (f *fakeServer) deliver(t fataler, a *Account, from int) {
	for queue, all := range f.queues[a.id] {
		start := 0
		if err := a.state.view(func(tx *bolt.Tx) error {
			start = min(from, int(getCursor(tx, queue)), len(all))
			return nil
		}); err != nil {
			t.Fatalf("%v", err)
		}
		err := a.take(queue, all[start:])
		if err != nil && !errors.Is(err, ErrLater) {
			t.Fatalf("take: %v", err)
		}
	}
}

type fataler interface {
	Fatalf(format string, args ...any)
}

func newAccount(t fataler, dir string) *Account {
	if _, err := Create(dir, "127.0.0.1:7000", nil); err != nil {
		t.Fatalf("create: %v", err)
	}
	a, err := Open(dir, nil)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return fast(a)
}

// fast spares the disk: what a process's death leaves is the same, and that is what these tests are about.
func fast(a *Account) *Account {
	a.state.db.NoSync = true
	return a
}

// package1 makes one KeyPackage of a, as PublishKeyPackages does, without a server.
func package1(t fataler, a *Account) []byte {
	b, err := mls.NewKeyPackage(a.mlsID, mls.KeyPackageOptions{})
	if err != nil {
		t.Fatalf("%v", err)
	}
	secret, err := b.MarshalBinary()
	if err != nil {
		t.Fatalf("%v", err)
	}
	if err := a.state.update(func(tx *bolt.Tx) error { return tx.Bucket(bucketKeyPackages).Put(b.Ref(), secret) }); err != nil {
		t.Fatalf("%v", err)
	}
	return b.Public()
}

func invite(t fataler, f *fakeServer, a *Account, group string, who *Account) {
	add, err := mls.Add(package1(t, who))
	if err != nil {
		t.Fatalf("%v", err)
	}
	if err := a.stage(group, mls.CommitOptions{Proposals: []mls.Proposal{add}}, []certs.Identity{who.id}); err != nil {
		t.Fatalf("stage: %v", err)
	}
	f.flush(t, a, false)
}

func texts(t fataler, a *Account) (out []string) {
	if err := a.Unread("", func(m Message) error {
		if m.Kind == KindProblem {
			t.Fatalf("%s: %s", a.id.Short(), m.Text)
		}
		if m.Kind == KindText {
			out = append(out, string(m.Text))
		}
		return nil
	}); err != nil {
		t.Fatalf("unread: %v", err)
	}
	return out
}
