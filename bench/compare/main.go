// Command compare measures quicnprotochatd beside Mosquitto and NATS JetStream: the same messages, the same clients, the same machine. docs/compare.md
// says what is equal and what is not.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// Exit codes.
const (
	exitFailed    = 1
	exitUsage     = 2
	exitViolation = 3
)

// clientGC lets the clients use memory in place of time: they share the processors with the servers, all of them alike.
const clientGC = 400

func main() {
	if len(os.Args) > 1 && os.Args[1] == natsServerCommand {
		if err := runNATSServer(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(exitFailed)
		}
		return
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(clientGC)
	}
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // by nohup, say
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // so that a write that nobody reads fails, and what was started is ended in order
	err := compare(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return
	case errors.Is(err, errViolation):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitViolation)
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitUsage)
	default:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitFailed)
	}
}

// compare runs each system count times, in turn. A run that fails is told, and the others go on; a system that is not installed is not tried again.
func compare(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	cfg, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	warnOfMemory(cfg.dir, stderr)
	results := make(map[string][]*result)
	missing := make(map[string]bool)
	var failures error
	for i := range cfg.count {
		for _, s := range cfg.systems {
			if missing[s.name()] {
				continue
			}
			res, err := perform(ctx, s, cfg)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				err = fmt.Errorf("%s, run %d: %w", s.name(), i+1, err)
				missing[s.name()] = errors.Is(err, errMissing)
				failures = errors.Join(failures, err)
				fmt.Fprintln(stderr, err)
				continue
			}
			results[s.name()] = append(results[s.name()], res)
			fmt.Fprintf(stderr, "%-16s run %d of %d: %8.0f delivered/s\n", s.name(), i+1, cfg.count, res.Delivered)
			if cfg.json {
				if err := json.NewEncoder(stdout).Encode(res); err != nil {
					return err
				}
			}
		}
	}
	if !cfg.json {
		if err := printTable(stdout, cfg, results); err != nil {
			return err
		}
	}
	return failures
}
