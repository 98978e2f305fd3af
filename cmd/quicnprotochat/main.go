// Command quicnprotochat is the command-line client. It is thin: package client does the work.
//
// Rules of the interface: what a command was asked for goes to standard output, one fact a line, so that scripts can read it;
// everything else (first contact with a server, progress) goes to standard error. A failure is one line that says what happened and, where there is
// something, what to do; its exit code says which kind it is (exit.go).
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"quicnprotochat/certs"
	"quicnprotochat/client"
	"quicnprotochat/cmd/internal/buildinfo"
	"quicnprotochat/cmd/internal/envflag"
)

const defaultServer = "127.0.0.1:7000"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process, whatever it waits for
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string) int {
	root := newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if ctx.Err() != nil {
		if kept := new(keptError); errors.As(err, &kept) {
			fmt.Fprintln(os.Stderr, "quicnprotochat: interrupted", kept.where())
		}
		return exitInterrupted
	}
	fmt.Fprintln(os.Stderr, "quicnprotochat:", explain(err))
	return exitCode(err)
}

// globals are the flags that every command has.
type globals struct {
	state   string
	server  string
	pin     string
	timeout time.Duration
	verbose bool
}

func newRoot() *cobra.Command {
	g := &globals{}
	root := &cobra.Command{
		Use:           "quicnprotochat",
		Short:         "End-to-end encrypted group messaging over QUIC",
		Long:          "quicnprotochat is the command-line client of quicnprotochat.\nEvery flag can be given by an environment variable: --state is QUICNPROTOCHAT_STATE.",
		Version:       buildinfo.Version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := envflag.Apply(cmd); err != nil {
				return fmt.Errorf("%w: %w", errUsage, err)
			}
			if g.timeout <= 0 {
				return fmt.Errorf("%w: --timeout %v", errUsage, g.timeout)
			}
			return nil
		},
	}
	f := root.PersistentFlags()
	f.StringVar(&g.state, "state", defaultState(), "state `directory`: identity, groups, messages")
	f.StringVar(&g.server, "server", "", "server `address`, host:port (default: the one given to init)")
	f.StringVar(&g.pin, "pin", "", "accept only the server with this `pin` (sha256:...), and keep it")
	f.DurationVar(&g.timeout, "timeout", 15*time.Second, "give up on the server when it does not answer for this `time`")
	f.BoolVar(&g.verbose, "verbose", false, "tell more on standard error")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %w", errUsage, err) })
	root.AddCommand(newInit(g), newWhoami(g), newPing(g), newRegister(g), newRefresh(g), newFetchKey(g), newName(g),
		newCreateGroup(g), newGroups(g), newMembers(g), newInvite(g), newJoin(g), newRemove(g), newUpdate(g), newReport(g), newMend(g),
		newUpload(g), newDownload(g),
		newSend(g), newRecv(g), newDemoGroup(g))
	return root
}

func defaultState() string {
	if dir := os.Getenv("XDG_DATA_HOME"); dir != "" {
		return filepath.Join(dir, "quicnprotochat")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "quicnprotochat-state"
	}
	return filepath.Join(home, ".local", "share", "quicnprotochat")
}

func (g *globals) logger() *slog.Logger {
	if !g.verbose {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// withAccount opens the state directory for the length of f.
func (g *globals) withAccount(f func(a *client.Account) error) error {
	a, err := client.Open(g.state, g.logger())
	if err != nil {
		return err
	}
	defer a.Close()
	return f(a)
}

// withSession opens the state directory and a connection for the length of f.
func (g *globals) withSession(ctx context.Context, f func(ctx context.Context, a *client.Account, s *client.Session) error) error {
	return g.withAccount(func(a *client.Account) error {
		return g.connected(ctx, a, func(ctx context.Context, s *client.Session) error { return f(ctx, a, s) })
	})
}

func (g *globals) dialOptions() (client.DialOptions, error) {
	opts := client.DialOptions{Addr: g.server, FirstUse: func(addr string, pin certs.Pin) {
		fmt.Fprintf(os.Stderr, "first contact with %s: its key is %v; from now on no other is accepted\n", addr, pin)
	}}
	if g.pin != "" {
		pin, err := certs.ParsePin(g.pin)
		if err != nil {
			return opts, fmt.Errorf("%w: %w", errUsage, err)
		}
		opts.Pin = &pin
	}
	return opts, nil
}

// args wraps one of cobra's argument checks so that its refusal counts as a usage error.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return fmt.Errorf("%w: %s: %w", errUsage, cmd.UseLine(), err)
		}
		return nil
	}
}
