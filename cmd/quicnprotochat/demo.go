package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"quicnprotochat/client"
)

func newDemoGroup(g *globals) *cobra.Command {
	var rounds int
	cmd := &cobra.Command{
		Use:   "demo-group",
		Short: "Two fresh members meet through a running daemon and talk; prints what happens and how long it takes",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if rounds < 1 {
				return fmt.Errorf("%w: --rounds %d", errUsage, rounds)
			}
			dir, err := os.MkdirTemp("", "quicnprotochat-demo-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			ctx, cancel := context.WithTimeout(cmd.Context(), 4*g.timeout)
			defer cancel()
			return demoGroup(ctx, g, dir, rounds)
		},
	}
	cmd.Flags().IntVar(&rounds, "rounds", 3, "messages each `way`")
	return cmd
}

// demoMember is one of the two: an account that sends over one connection and listens on another.
type demoMember struct {
	name    string
	account *client.Account
	session *client.Session
	news    chan struct{} // something was pushed
	ended   chan error    // why listening ended
	stop    context.CancelFunc
}

func newDemoMember(ctx context.Context, g *globals, dir, name string) (*demoMember, error) {
	server := g.server
	if server == "" {
		server = defaultServer
	}
	path := filepath.Join(dir, name)
	if _, err := client.Create(path, server, nil); err != nil {
		return nil, err
	}
	a, err := client.Open(path, g.logger())
	if err != nil {
		return nil, err
	}
	opts, err := g.dialOptions()
	if err != nil {
		return nil, errors.Join(err, a.Close())
	}
	opts.FirstUse = nil
	m := &demoMember{name: name, account: a, news: make(chan struct{}, 1), ended: make(chan error, 1)}
	if m.session, err = a.Dial(ctx, opts); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	ctx, m.stop = context.WithCancel(ctx)
	started := make(chan struct{})
	go func() {
		m.ended <- a.Listen(ctx, m.session, func() { close(started) }, func() {
			select {
			case m.news <- struct{}{}:
			default:
			}
		})
	}()
	select {
	case <-started:
		return m, nil
	case err := <-m.ended:
		m.ended <- err
		return nil, errors.Join(err, m.close())
	}
}

func (m *demoMember) close() error {
	m.stop()
	<-m.ended
	return errors.Join(m.session.Close(), m.account.Close())
}

// await waits until a push makes done true.
func (m *demoMember) await(ctx context.Context, done func() (bool, error)) error {
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-m.news:
		case err := <-m.ended:
			m.ended <- err
			return fmt.Errorf("%s: listening ended: %w", m.name, err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// receive waits for one text and checks who wrote what.
func (m *demoMember) receive(ctx context.Context, from *demoMember, want string) error {
	return m.await(ctx, func() (bool, error) {
		found := false
		err := m.account.Unread("", func(msg client.Message) error {
			switch {
			case msg.Kind == client.KindProblem:
				return fmt.Errorf("%s could not read a message: %s", m.name, msg.Text)
			case msg.Kind == client.KindText && (string(msg.Text) != want || msg.Sender != from.account.Identity()):
				return fmt.Errorf("%s received %q from %v, want %q", m.name, msg.Text, msg.Sender, want)
			}
			found = found || msg.Kind == client.KindText
			return nil
		})
		return found, err
	})
}

// step times one step of the demonstration and prints a line.
func step(what string, f func() error) error {
	start := time.Now()
	if err := f(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	fmt.Printf("%-52s %9v\n", what, time.Since(start).Round(10*time.Microsecond))
	return nil
}

func demoGroup(ctx context.Context, g *globals, dir string, rounds int) (err error) {
	var alice, bob *demoMember
	for _, m := range []struct {
		name string
		to   **demoMember
	}{{"alice", &alice}, {"bob", &bob}} {
		if err := step(m.name+": identity, connection, listen", func() (err error) {
			*m.to, err = newDemoMember(ctx, g, dir, m.name)
			return err
		}); err != nil {
			return err
		}
		member := *m.to
		defer func() { err = errors.Join(err, member.close()) }()
		if err := step(m.name+": publish 5 KeyPackages", func() error {
			_, err := member.account.PublishKeyPackages(ctx, member.session, 5)
			return err
		}); err != nil {
			return err
		}
	}
	group, err := demoMeet(ctx, alice, bob)
	if err != nil {
		return err
	}
	if err := demoTalk(ctx, group, alice, bob, rounds); err != nil {
		return err
	}
	fmt.Println("every message was encrypted with MLS, stored by the daemon, and pushed")
	return nil
}

// demoMeet makes a group and brings bob into it, by a Welcome that the server pushes.
func demoMeet(ctx context.Context, alice, bob *demoMember) (group client.Group, err error) {
	if err := step("alice: create the group", func() error {
		group, err = alice.account.CreateGroup("demo")
		return err
	}); err != nil {
		return group, err
	}
	if err := step("alice: fetch bob's KeyPackage, commit, send the Welcome", func() error {
		return alice.account.Invite(ctx, alice.session, group.ID, bob.account.Identity())
	}); err != nil {
		return group, err
	}
	return group, step("bob: Welcome by push, join", func() error {
		if err := bob.await(ctx, func() (bool, error) {
			n, err := bob.account.Invites()
			return n > 0, err
		}); err != nil {
			return err
		}
		joined, err := bob.account.Join("demo", false)
		if err == nil && (len(joined) != 1 || joined[0].ID != group.ID || joined[0].Epoch != group.Epoch+1) {
			err = fmt.Errorf("joined %v", joined)
		}
		return err
	})
}

// demoTalk sends rounds messages each way, and renews alice's keys in the middle.
func demoTalk(ctx context.Context, group client.Group, alice, bob *demoMember, rounds int) error {
	for i := range rounds {
		for _, pair := range [][2]*demoMember{{alice, bob}, {bob, alice}} {
			from, to := pair[0], pair[1]
			text := fmt.Sprintf("message %d from %s", i+1, from.name)
			if err := step(fmt.Sprintf("%s -> %s: %q", from.name, to.name, text), func() error {
				if err := from.account.Send(group.ID, []byte(text)); err != nil {
					return err
				}
				if err := from.account.Flush(ctx, from.session); err != nil {
					return err
				}
				return to.receive(ctx, from, text)
			}); err != nil {
				return err
			}
		}
		if i == 0 {
			if err := step("alice: renew keys (commit with a path)", func() error {
				return alice.account.Update(ctx, alice.session, group.ID)
			}); err != nil {
				return err
			}
		}
	}
	return nil
}
