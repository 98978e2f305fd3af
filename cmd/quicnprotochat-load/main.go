// Command quicnprotochat-load puts load on a daemon and tells how it fared. It is thin: package load does the work.
//
// What a run came to goes to standard output; how it goes, to standard error. A run in which a message was lost, doubled or out of order has failed, whatever
// its figures (exit code 3).
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"quicnprotochat/cmd/internal/buildinfo"
	"quicnprotochat/cmd/internal/envflag"
	"quicnprotochat/load"
)

// Exit codes, for scripts.
const (
	exitOK          = 0
	exitFailure     = 1 // the run did not come to its end
	exitUsage       = 2 // bad flag or configuration
	exitViolation   = 3 // a message was lost, doubled or out of order
	exitBound       = 4 // no rate keeps the bound, or a comparison found it worse
	exitInterrupted = 130
)

var errUsage = errors.New("usage")

// clientGC lets the clients use memory in place of time: they often share the processors with the daemon.
const clientGC = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(clientGC)
	}
	ctx, stop := untilSignal()
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string) int {
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(told{os.Stdout, enough})
	root.SetErr(told{os.Stderr, enough})
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(os.Stderr, "quicnprotochat-load:", err)
	switch {
	case errors.Is(err, load.ErrViolation):
		return exitViolation
	case ctx.Err() != nil:
		return exitInterrupted
	case errors.Is(err, errUsage), errors.Is(err, load.ErrConfig), strings.HasPrefix(err.Error(), "unknown command"): // cobra's own
		return exitUsage
	case errors.Is(err, load.ErrBound), errors.Is(err, load.ErrWorse):
		return exitBound
	default:
		return exitFailure
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "quicnprotochat-load",
		Short: "Load for a quicnprotochat daemon, and what it did with it",
		Long: "quicnprotochat-load connects real clients to a daemon, has them send and receive, checks that nothing was lost, doubled or out of order, and measures.\n" +
			"Every flag can be given by an environment variable: --window is QUICNPROTOCHAT_WINDOW. docs/load.md tells what each scenario does.",
		Version:       buildinfo.Version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := envflag.Apply(cmd); err != nil {
				return fmt.Errorf("%w: %w", errUsage, err)
			}
			return nil
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %w", errUsage, err) })
	for name, about := range load.Scenarios() {
		root.AddCommand(newScenario(name, about))
	}
	root.AddCommand(&cobra.Command{
		Use: load.BareCommand, Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return load.ServeBare(cmd.InOrStdin(), cmd.OutOrStdout()) },
	})
	root.AddCommand(newBench(), newWorker(), newCompare(), newReport(), newFlame())
	return root
}

// usage says that wrong arguments are the caller's fault.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
		return nil
	}
}
