package client

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"quicnprotochat/certs"
	"quicnprotochat/mls"
)

// TestExchangeWithCrashes: three members talk, with answers lost, envelopes delivered again, and each account's process dying (its
// directory reopened) at any step. Each text arrives once, in its sender's order.
func TestExchangeWithCrashes(t *testing.T) {
	base := t.TempDir()
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		f := newFakeServer()
		members := make([]*Account, 3)
		for i := range members {
			members[i] = newAccount(t, filepath.Join(base, fmt.Sprint(run), fmt.Sprint(i)))
		}
		defer func() {
			for _, m := range members {
				m.Close()
			}
		}()
		g, err := members[0].CreateGroup("g")
		if err != nil {
			t.Fatalf("%v", err)
		}
		for _, m := range members[1:] {
			invite(t, f, members[0], g.ID, m)
			f.deliver(t, m, 0)
			if joined, err := m.Join("", false); err != nil || len(joined) != 1 {
				t.Fatalf("join: %v %v", joined, err)
			}
		}
		for _, m := range members {
			f.deliver(t, m, 0)
		}
		sent := make([]int, len(members))
		got := make([]map[string]int, len(members))
		check := func(i int) {
			if got[i] == nil {
				got[i] = make(map[string]int)
			}
			for _, text := range texts(t, members[i]) {
				var from, n int
				if _, err := fmt.Sscanf(text, "%d/%d", &from, &n); err != nil {
					t.Fatalf("text %q", text)
				}
				if key := fmt.Sprint(from); got[i][key] != n {
					t.Fatalf("member %d received %d of member %d, want %d", i, n, from, got[i][key])
				} else {
					got[i][key]++
				}
			}
		}
		for range rapid.IntRange(5, 25).Draw(t, "steps") {
			i := rapid.IntRange(0, len(members)-1).Draw(t, "who")
			m := members[i]
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0, 1:
				if err := m.Send(g.ID, fmt.Appendf(nil, "%d/%d", i, sent[i])); err != nil {
					t.Fatalf("send: %v", err)
				}
				sent[i]++
			case 2:
				f.flush(t, m, rapid.Bool().Draw(t, "lost"))
			case 3:
				f.deliver(t, m, rapid.IntRange(0, 4).Draw(t, "from"))
				check(i)
			case 4:
				m.Close()
				if members[i], err = Open(m.dir, nil); err != nil {
					t.Fatalf("reopen: %v", err)
				}
				fast(members[i])
			case 5: // a commit, when nothing is under way that it could collide with
				for j := range members {
					f.flush(t, members[j], false)
				}
				for j := range members {
					f.deliver(t, members[j], 0)
				}
				if err := m.stage(g.ID, renewal, false); err != nil {
					t.Fatalf("stage: %v", err)
				}
				f.flush(t, m, true) // sent; the answer is lost
				f.flush(t, m, false)
			}
		}
		for i := range members {
			f.flush(t, members[i], false)
		}
		for i := range members {
			f.deliver(t, members[i], 0)
			check(i)
			for j := range members {
				if i != j && got[i][fmt.Sprint(j)] != sent[j] {
					t.Fatalf("member %d has %d of the %d texts of member %d", i, got[i][fmt.Sprint(j)], sent[j], j)
				}
			}
		}
	})
}

// TestFullGroup: while a group's order is full its messages wait in the outbox, in their order, a commit is given up, and other groups go on.
func TestFullGroup(t *testing.T) {
	f := newFakeServer()
	alice, bob := newAccount(t, t.TempDir()), newAccount(t, t.TempDir())
	defer alice.Close()
	defer bob.Close()
	g, err := alice.CreateGroup("g")
	if err != nil {
		t.Fatal(err)
	}
	invite(t, f, alice, g.ID, bob)
	f.deliver(t, bob, 0)
	if _, err := bob.Join("g", false); err != nil {
		t.Fatal(err)
	}
	f.full = true
	const count = maxFlush + 10
	var lines [][]byte
	for i := range count {
		lines = append(lines, fmt.Append(nil, i))
	}
	if err := alice.Send(g.ID, lines...); err != nil {
		t.Fatal(err)
	}
	if err := alice.flush(t.Context(), fakeSession{f, alice.id}); !errors.Is(err, ErrQuota) {
		t.Fatalf("flush to a full group: %v", err)
	}
	if err := bob.stage(g.ID, renewal, false); err != nil {
		t.Fatal(err)
	}
	if err := bob.flush(t.Context(), fakeSession{f, bob.id}); !errors.Is(err, ErrQuota) || bob.groups[g.ID].HasPending() {
		t.Fatalf("a commit in a full group: %v, still pending %v", err, bob.groups[g.ID].HasPending())
	}
	if n, err := bob.Unsent(); n != 0 || err != nil {
		t.Fatalf("%d commits wait, %v", n, err)
	}
	if n, err := alice.Unsent(); n != count || err != nil {
		t.Fatalf("%d messages wait, %v", n, err)
	}
	f.full = false
	f.flush(t, alice, false)
	f.deliver(t, bob, 0)
	got := texts(t, bob)
	if len(got) != count {
		t.Fatalf("bob has %d texts", len(got))
	}
	for i := range got {
		if got[i] != fmt.Sprint(i) {
			t.Fatalf("text %d is %q", i, got[i])
		}
	}
}

// TestLosingCommit: of two commits for one epoch the server takes one; the other, and its Welcome, are dropped, whether its sender hears first of the winner or of its
// own defeat.
func TestLosingCommit(t *testing.T) {
	for _, heard := range []bool{true, false} {
		f := newFakeServer()
		alice, bob, carol := newAccount(t, t.TempDir()), newAccount(t, t.TempDir()), newAccount(t, t.TempDir())
		for _, a := range []*Account{alice, bob, carol} {
			defer a.Close()
		}
		g, err := alice.CreateGroup("g")
		if err != nil {
			t.Fatal(err)
		}
		invite(t, f, alice, g.ID, bob)
		f.deliver(t, bob, 0)
		if _, err := bob.Join("g", false); err != nil {
			t.Fatal(err)
		}
		if err := bob.stage(g.ID, adding(t, carol), false); err != nil {
			t.Fatal(err)
		}
		if err := alice.stage(g.ID, renewal, false); err != nil {
			t.Fatal(err)
		}
		f.flush(t, alice, false)
		if heard {
			f.deliver(t, bob, 0)
			f.flush(t, bob, false)
		} else if err := bob.flush(t.Context(), fakeSession{f, bob.id}); !errors.Is(err, ErrRace) {
			t.Fatalf("a commit that lost: %v", err)
		}
		if n, err := bob.Unsent(); err != nil || n != 0 {
			t.Fatalf("%d messages wait, %v", n, err)
		}
		if len(f.inboxes[carol.id]) != 0 {
			t.Fatal("a Welcome of a commit that lost was sent")
		}
		f.deliver(t, bob, 0)
		invite(t, f, bob, g.ID, carol) // the next attempt stands on the new epoch
		f.deliver(t, carol, 0)
		if joined, err := carol.Join("", false); err != nil || len(joined) != 1 || len(joined[0].Members) != 3 {
			t.Fatalf("%v %v", joined, err)
		}
	}
}

// TestRejoin: one who was removed and added anew while away is told, and joins when it says so, whether or not it has seen its removal. What was written meanwhile waits,
// even if it comes before it says so.
func TestRejoin(t *testing.T) {
	for _, saw := range []bool{false, true} {
		for _, early := range []bool{false, true} {
			t.Run(fmt.Sprintf("saw=%v,early=%v", saw, early), func(t *testing.T) { rejoin(t, saw, early) })
		}
	}
}

func rejoin(t *testing.T, saw, early bool) {
	f := newFakeServer()
	alice, bob := newAccount(t, t.TempDir()), newAccount(t, t.TempDir())
	defer alice.Close()
	defer bob.Close()
	g, err := alice.CreateGroup("g")
	if err != nil {
		t.Fatal(err)
	}
	invite(t, f, alice, g.ID, bob)
	f.deliver(t, bob, 0)
	if _, err := bob.Join("g", false); err != nil {
		t.Fatal(err)
	}
	err = alice.stage(g.ID, func(m *mls.Group) (mls.CommitOptions, []certs.Identity, []certs.Identity, error) {
		leaf, _ := findMember(m, bob.id)
		return mls.CommitOptions{Proposals: []mls.Proposal{mls.Remove(leaf)}}, nil, []certs.Identity{bob.id}, nil
	}, false)
	if err != nil {
		t.Fatal(err)
	}
	f.flush(t, alice, false)
	if saw {
		f.deliver(t, bob, 0)
		texts(t, bob)
	}
	invite(t, f, alice, g.ID, bob)
	if err := alice.Send(g.ID, []byte("welcome back")); err != nil {
		t.Fatal(err)
	}
	f.flush(t, alice, false)
	f.deliverQueue(t, bob, Queue{}, f.inboxes[bob.id], 0)
	if early {
		f.deliver(t, bob, 0)
	}
	for range 2 {
		if saw {
			break
		}
		if joined, err := bob.Join("", false); !errors.Is(err, ErrRejoin) || len(joined) != 0 {
			t.Fatalf("joined %v, %v", joined, err)
		}
	}
	if joined, err := bob.Join("", !saw); err != nil || len(joined) != 1 || joined[0].Name != "g" {
		t.Fatalf("joined %v, %v", joined, err)
	}
	if !early {
		f.deliver(t, bob, 0)
	}
	if got := texts(t, bob); len(got) != 1 || got[0] != "welcome back" {
		t.Fatalf("bob reads %q", got)
	}
}

func TestStateDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	if _, err := Open(dir, nil); !errors.Is(err, ErrNoState) {
		t.Errorf("open of nothing: %v", err)
	}
	if _, err := Create(dir, "no address", nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("bad address: %v", err)
	}
	a := newAccount(t, dir)
	if _, err := Open(dir, nil); !errors.Is(err, ErrStateInUse) {
		t.Errorf("second open: %v", err)
	}
	if _, err := Create(dir, "127.0.0.1:1", nil); !errors.Is(err, ErrStateExists) {
		t.Errorf("second create: %v", err)
	}
	a.Close()
	for name, mode := range map[string]os.FileMode{".": 0o700 | os.ModeDir, keyFile: 0o600, stateFile: 0o600} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
	st, err := openState(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.update(func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Put(metaVersion, []byte{99}) }); err != nil {
		t.Fatal(err)
	}
	st.close()
	if _, err := Open(dir, nil); !errors.Is(err, ErrState) {
		t.Errorf("format of the future: %v", err)
	}
}

func TestSendRefuses(t *testing.T) {
	a := newAccount(t, t.TempDir())
	defer a.Close()
	g, err := a.CreateGroup("g")
	if err != nil {
		t.Fatal(err)
	}
	before := a.groups[g.ID].Epoch()
	for name, c := range map[string]struct {
		group string
		text  []byte
		want  error
	}{
		"empty":     {g.ID, nil, ErrInvalid},
		"too large": {g.ID, make([]byte, MaxText+1), ErrTooLarge},
		"unknown":   {"nobody's", []byte("x"), ErrUnknownGroup},
	} {
		if err := a.Send(c.group, c.text); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err := a.Send(c.group, []byte("good"), c.text); !errors.Is(err, c.want) {
			t.Errorf("%s behind a good one: %v", name, err)
		}
	}
	if n, err := a.Unsent(); n != 1 || err != nil || a.groups[g.ID].Epoch() != before { // the group itself
		t.Errorf("with refused messages there are %d entries in the outbox, %v", n, err)
	}
	if _, err := a.CreateGroup("g"); !errors.Is(err, ErrGroupExists) {
		t.Errorf("second group of a name: %v", err)
	}
	for _, name := range []string{"", "a\nb", "0123456789abcdef0123456789abcdef"} {
		if _, err := a.CreateGroup(name); !errors.Is(err, ErrInvalid) {
			t.Errorf("name %q: %v", name, err)
		}
	}
	if got, err := a.Group(g.HexID()[:6]); err != nil || got.ID != g.ID {
		t.Errorf("by prefix: %v %v", got, err)
	}
	if _, err := a.Group("zz"); !errors.Is(err, ErrUnknownGroup) {
		t.Errorf("unknown: %v", err)
	}
}
