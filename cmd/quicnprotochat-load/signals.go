package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// untilSignal is a context that is over when the user has enough: the daemon that was started is then ended in order.
func untilSignal() (context.Context, context.CancelFunc) {
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // by nohup, say
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	context.AfterFunc(ctx, stop) // a second signal ends the process, whatever it waits for
	// With that, a write to a broken pipe is an error like others, and not the end of the process. The signal itself may be for a connection, to a worker say.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	return ctx, stop
}

// A told is what is written to somebody. When nobody reads it any more, it calls enough.
type told struct {
	*os.File
	enough func()
}

func (t told) Write(b []byte) (int, error) {
	n, err := t.File.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		t.enough()
	}
	return n, err
}
