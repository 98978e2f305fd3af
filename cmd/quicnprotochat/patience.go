package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// patience is a context that ends when nothing was heard for a time: a long outbox may take as long as it takes, a server that does not answer may not.
type patience struct {
	context.Context
	after  time.Duration
	timer  *time.Timer
	cancel context.CancelCauseFunc
}

func newPatience(ctx context.Context, after time.Duration) *patience {
	ctx, cancel := context.WithCancelCause(ctx)
	return &patience{ctx, after, time.AfterFunc(after, func() { cancel(context.DeadlineExceeded) }), cancel}
}

// heard gives it the whole time anew.
func (p *patience) heard() { p.timer.Reset(p.after) }

// end releases it, and says of an error that was its own that it is context.DeadlineExceeded.
func (p *patience) end(err error) error {
	p.timer.Stop()
	p.cancel(nil)
	if err != nil && errors.Is(context.Cause(p), context.DeadlineExceeded) {
		return fmt.Errorf("%w: %v", context.DeadlineExceeded, err)
	}
	return err
}
