package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quicnprotochat/load"
)

// tokenEnv holds the token that the processes of a run share, where no file does.
const tokenEnv = "QUICNPROTOCHAT_LOAD_TOKEN"

func newWorker() *cobra.Command {
	var listen, tokenFile string
	var piped bool
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Have a part in runs that are started elsewhere with --workers",
		Long: "worker listens for the program that leads a run (TCP), and does what it says: whoever knows the token can have it send to any address.\n" +
			"The token proves the caller without being sent; the connection itself is in the clear. It is read from --token-file or " + tokenEnv + ".",
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if piped {
				return ended(load.WorkFor(cmd.Context(), stdio{}))
			}
			token, err := readToken(tokenFile)
			if err != nil {
				return err
			}
			if err := load.CheckToken(token); err != nil {
				return err
			}
			l, err := net.Listen("tcp", listen)
			if err != nil {
				return fmt.Errorf("%w: %w", load.ErrConfig, err)
			}
			fmt.Fprintf(os.Stderr, "worker: listening on %s; takes orders from whoever knows the token\n", l.Addr())
			return load.ServeWorkers(cmd.Context(), l, token, func(line string) { fmt.Fprintln(os.Stderr, "worker:", line) })
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:4480", "`address` to listen on, host:port")
	cmd.Flags().StringVar(&tokenFile, "token-file", "", "`file` that holds the shared token")
	cmd.Flags().BoolVar(&piped, "piped", false, "speak over standard input and output, with the process that started this one")
	_ = cmd.Flags().MarkHidden("piped")
	return cmd
}

// ended makes of the other side's going what it is for a worker that was started by it: the end.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// stdio is the connection to the process that started this one.
type stdio struct{}

func (stdio) Read(b []byte) (int, error)  { return os.Stdin.Read(b) }
func (stdio) Write(b []byte) (int, error) { return os.Stdout.Write(b) }
func (stdio) Close() error                { return os.Stdin.Close() }

func readToken(file string) (string, error) {
	if file == "" {
		return os.Getenv(tokenEnv), nil
	}
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("%w: %w", load.ErrConfig, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 4096))
	return strings.TrimSpace(string(b)), err
}

// teamFlags are those that say who shares a run.
type teamFlags struct {
	workers   []string
	tokenFile string
	processes int
}

func (t *teamFlags) add(f *pflag.FlagSet) {
	f.StringSliceVar(&t.workers, "workers", nil, "`addresses` of workers that share the run with this process")
	f.StringVar(&t.tokenFile, "token-file", "", "`file` that holds the token which the workers know (or "+tokenEnv+")")
	f.IntVar(&t.processes, "processes", 1, "share the run among this many processes on this machine")
}

func (t *teamFlags) team() (load.Team, error) {
	team := load.Team{Addrs: t.workers, Processes: t.processes}
	if len(t.workers) > 0 {
		var err error
		if team.Token, err = readToken(t.tokenFile); err != nil {
			return team, err
		}
	}
	if t.processes > 1 {
		self, err := os.Executable()
		if err != nil {
			return team, err
		}
		team.Worker = []string{self, "worker", "--piped"}
	}
	return team, nil
}
