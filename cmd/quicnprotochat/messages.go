package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"quicnprotochat/client"
)

func newSend(g *globals) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "send GROUP [TEXT...]",
		Short: "Send a message to a group; without a text, each line of standard input is one",
		Long: `Sends a message to a group. It returns when the server has stored the message for every member.
Without the server the message is kept in the outbox, and goes with the next command that connects.`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			texts, err := readTexts(cmd.Context(), args[1:], file)
			if err != nil {
				return err
			}
			return g.withAccount(func(a *client.Account) error {
				return send(cmd.Context(), g, a, args[0], texts)
			})
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "send the content of this `file` as one message")
	return cmd
}

// readTexts gives the messages to send. It reads no more of a file than could be sent and one byte.
func readTexts(ctx context.Context, words []string, file string) ([][]byte, error) {
	switch {
	case file != "" && len(words) > 0:
		return nil, fmt.Errorf("%w: a text or --file, not both", errUsage)
	case file != "":
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errUsage, err)
		}
		defer f.Close()
		text, err := io.ReadAll(io.LimitReader(f, client.MaxText+1))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errUsage, err)
		}
		return [][]byte{text}, nil
	case len(words) > 0:
		return [][]byte{[]byte(strings.Join(words, " "))}, nil
	}
	return readInput(ctx, os.Stdin)
}

// sendAtOnce is how many lines go into the outbox together.
const sendAtOnce = 64

func send(ctx context.Context, g *globals, a *client.Account, ref string, texts [][]byte) error {
	group, err := a.Group(ref)
	if err != nil {
		return err
	}
	for some := range slices.Chunk(texts, sendAtOnce) {
		if err := a.Send(group.ID, some...); err != nil {
			return kept(a, err)
		}
	}
	return kept(a, g.connected(ctx, a, func(ctx context.Context, s *client.Session) error { return a.Flush(ctx, s) }))
}

// kept adds to a failure how many messages wait in the outbox, if any: whoever runs the command again would send them twice.
func kept(a *client.Account, err error) error {
	if err == nil {
		return nil
	}
	if n, uerr := a.Unsent(); uerr == nil && n > 0 {
		return &keptError{err, n}
	}
	return err
}

// connected opens a connection for the length of f, which takes as long as it takes: what has to be done within the timeout is each call.
func (g *globals) connected(ctx context.Context, a *client.Account, f func(ctx context.Context, s *client.Session) error) error {
	opts, err := g.dialOptions()
	if err != nil {
		return err
	}
	p := newPatience(ctx, g.timeout)
	opts.Answered = p.heard
	s, err := a.Dial(p, opts)
	if err != nil {
		return p.end(err)
	}
	defer s.Close()
	return p.end(f(p, s))
}

// minKeepAlive keeps a connection from being given up for a mere delay.
const minKeepAlive = 100 * time.Millisecond

func newRecv(g *globals) *cobra.Command {
	var follow, accept bool
	var wait, keepAlive time.Duration
	cmd := &cobra.Command{
		Use:   "recv [GROUP]",
		Short: "Print the messages that have come, once or as they arrive",
		Long: `Prints what has come, of one group or of all, oldest first: time, group, sender, text, separated by tabs.
A change of the group is a line whose sender is "*", something unreadable one whose sender is "!". What was printed is not printed again, but for the last 64 messages if the machine or the program dies meanwhile.`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if keepAlive < minKeepAlive {
				return fmt.Errorf("%w: --keep-alive %v, want at least %v", errUsage, keepAlive, minKeepAlive)
			}
			return g.withAccount(func(a *client.Account) error {
				group := ""
				if len(args) == 1 {
					found, err := a.Group(args[0])
					if err != nil {
						return err
					}
					group = found.ID
				}
				show := func() error { return a.Unread(group, printMessage) }
				if follow {
					return recvFollow(cmd.Context(), g, a, accept, keepAlive, show)
				}
				return recvOnce(cmd.Context(), g, a, wait, func() (int, error) { return a.UnreadCount(group) }, show)
			})
		},
	}
	cmd.Flags().BoolVar(&follow, "follow", false, "keep the connection, and print what is pushed until interrupted")
	cmd.Flags().BoolVar(&accept, "accept", false, "with --follow: accept invitations as they come")
	cmd.Flags().DurationVar(&keepAlive, "keep-alive", 10*time.Second, "with --follow: send a sign of life after this `time`; a server silent for 2.5 times as long is given up")
	cmd.Flags().DurationVar(&wait, "wait", 0, "if nothing has come, wait this `long` for something")
	return cmd
}

func recvOnce(ctx context.Context, g *globals, a *client.Account, wait time.Duration, count func() (int, error), show func() error) error {
	err := g.connected(ctx, a, func(ctx context.Context, s *client.Session) error {
		waiting, err := a.Sync(ctx, s)
		if waiting > 0 {
			fmt.Fprintf(os.Stderr, "%d messages wait for groups that are not joined\n", waiting)
		}
		return err
	})
	// What an earlier run stored is shown even when the server cannot be reached.
	n, cerr := count()
	if err == nil && cerr == nil && n == 0 && wait > 0 {
		err = g.waitFor(ctx, a, wait, count)
	}
	tellInvites(a, 0)
	return errors.Join(show(), err)
}

// recvFollow prints what is pushed. The handlers only store and hint; this goroutine alone prints and joins.
func recvFollow(ctx context.Context, g *globals, a *client.Account, accept bool, keepAlive time.Duration, show func() error) error {
	opts, err := g.dialOptions()
	if err != nil {
		return err
	}
	opts.KeepAlive = keepAlive
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	hints := make(chan struct{}, 1)
	hint := func() {
		select {
		case hints <- struct{}{}:
		default:
		}
	}
	hint()
	ended := make(chan error, 1)
	go func() { ended <- a.Follow(ctx, opts, hint, tellConnection) }()
	told := 0          // invitations that the user knows of
	toldAgain := false // that there is one to a group that the account is in
	for {
		select {
		case err := <-ended:
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			return err
		case <-hints:
			if accept {
				_, err := a.Join("", false)
				if again := errors.Is(err, client.ErrRejoin); err != nil && !(again && toldAgain) {
					toldAgain = again
					fmt.Fprintln(os.Stderr, "quicnprotochat:", oneLine(err))
				}
			} else {
				told = tellInvites(a, told)
			}
			if err := show(); err != nil {
				cancel(err)
			}
		}
	}
}

// tellInvites says how many invitations wait, if it is more than told.
func tellInvites(a *client.Account, told int) int {
	n, err := a.Invites()
	if err == nil && n > told {
		fmt.Fprintf(os.Stderr, "%d invitations: run quicnprotochat join to accept\n", n)
	}
	return max(n, told)
}

func tellConnection(connected bool, err error) {
	if connected {
		fmt.Fprintln(os.Stderr, "listening")
		return
	}
	fmt.Fprintf(os.Stderr, "connection lost: %s; trying again\n", oneLine(err))
}

// printMessage writes one message as one line: control characters, which could drive a terminal, are quoted.
func printMessage(m client.Message) error {
	sender := m.Sender.String()
	switch m.Kind {
	case client.KindEvent:
		sender = "*"
	case client.KindProblem:
		sender = "!"
	}
	return say("%s\t%s\t%s\t%s\n", m.At.Local().Format(time.DateTime), m.Name, sender, printable(string(m.Text)))
}

// say prints what was asked for: if it cannot be written (a full disk behind a redirection), the command has failed.
func say(format string, args ...any) error {
	_, err := fmt.Printf(format, args...)
	return err
}

func printable(s string) string {
	q := strconv.QuoteToGraphic(s)
	q = q[1 : len(q)-1]
	return strings.ReplaceAll(strings.ReplaceAll(q, `\"`, `"`), `\\`, `\`)
}
