package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"quicnprotochat/certs"
	"quicnprotochat/client"
	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
)

// member is an account with a connection.
type member struct {
	*testing.T
	*client.Account
	s *client.Session
}

func newMember(t *testing.T, ctx context.Context, addr string) *member {
	t.Helper()
	dir := t.TempDir() + "/state"
	if _, err := client.Create(dir, addr, nil); err != nil {
		t.Fatal(err)
	}
	a, err := client.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	s, err := a.Dial(ctx, client.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if _, err := a.PublishKeyPackages(ctx, s, 5); err != nil {
		t.Fatal(err)
	}
	return &member{t, a, s}
}

// sync takes in what has come, and returns what it says.
func (m *member) sync(ctx context.Context) (said []string) {
	m.Helper()
	if _, err := m.Sync(ctx, m.s); err != nil {
		m.Fatal(err)
	}
	if err := m.Unread("", func(msg client.Message) error {
		said = append(said, string(msg.Kind)+": "+string(msg.Text))
		return nil
	}); err != nil {
		m.Fatal(err)
	}
	return said
}

func (m *member) must(err error) {
	m.Helper()
	if err != nil {
		m.Fatal(err)
	}
}

// TestMend: a member hands in a commit that nobody can process, and that takes the founder and another from the roster. The rest say so, one of them replaces it, and all
// go on.
func TestMend(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	addr := startInProcess(t).Addr().String()
	var all []*member
	for range 4 {
		all = append(all, newMember(t, ctx, addr))
	}
	alice, bob, carol, mallory := all[0], all[1], all[2], all[3]
	g, err := alice.CreateGroup("g")
	alice.must(err)
	alice.must(alice.Invite(ctx, alice.s, g.ID, bob.Identity(), carol.Identity(), mallory.Identity()))
	for _, m := range all[1:] {
		m.sync(ctx)
		_, err := m.Join("g", false)
		m.must(err)
	}
	alice.must(alice.Send(g.ID, []byte("before")))
	alice.sync(ctx)
	if _, _, err := bob.Report(ctx, bob.s, g.ID); !errors.Is(err, client.ErrInvalid) {
		t.Fatalf("reported a sound group: %v", err)
	}

	now, err := mallory.Group("g")
	mallory.must(err)
	out, err := mallory.s.CommitGroup(ctx, &client.GroupCommit{Group: g.ID, Epoch: now.Epoch, ID: client.MessageID{9},
		Message: commitHeader(g.ID, now.Epoch), Removed: []certs.Identity{alice.Identity(), bob.Identity()}})
	if err != nil || out.Status != schemas.CommitStatus_accepted {
		t.Fatal(out, err)
	}
	for i, m := range []*member{alice, bob, carol} {
		said := strings.Join(m.sync(ctx), "\n")
		if !strings.Contains(said, "problem: a commit cannot be processed") {
			t.Fatalf("member %d hears %q", i, said)
		}
		if err := m.Update(ctx, m.s, g.ID); !errors.Is(err, client.ErrWedged) {
			t.Fatalf("member %d goes on in a group that stands still: %v", i, err)
		}
		if err := m.Mend(ctx, m.s, g.ID); !errors.Is(err, quicrpc.ErrNotAuthorized) {
			t.Fatalf("member %d mends what nobody reported: %v", i, err)
		}
	}
	for i, m := range []*member{bob, carol} { // of alice, bob and carol
		said, needed, err := m.Report(ctx, m.s, g.ID)
		if err != nil || said != i+1 || needed != 2 {
			t.Fatalf("%d of %d, %v", said, needed, err)
		}
	}
	bob.must(bob.Mend(ctx, bob.s, g.ID))
	carol.must(carol.Mend(ctx, carol.s, g.ID)) // bob did it
	alice.sync(ctx)
	alice.must(alice.Remove(ctx, alice.s, g.ID, mallory.Identity()))
	for _, m := range []*member{alice, bob, carol} {
		m.must(m.Send(g.ID, fmt.Append(nil, "after")))
		m.sync(ctx)
	}
	for i, m := range []*member{alice, bob} {
		said := strings.Join(m.sync(ctx), "\n")
		if strings.Contains(said, "problem") || !strings.Contains(said, "text: after") {
			t.Fatalf("member %d hears %q", i, said)
		}
		now, err := m.Group("g")
		if err != nil || now.Wedged || len(now.Members) != 3 {
			t.Fatalf("%+v, %v", now, err)
		}
	}
}
