package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestPatience: it lasts while something is heard, ends with a deadline when nothing is, and an interrupt stays one.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatience(t.Context(), time.Second)
		for range 10 {
			time.Sleep(900 * time.Millisecond)
			if p.Err() != nil {
				t.Fatal("it ended too early")
			}
			p.heard()
		}
		at := time.Now()
		<-p.Done()
		if d := time.Since(at); d != time.Second {
			t.Errorf("it ended after %v", d)
		}
		if err := p.end(p.Err()); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
		if err := p.end(nil); err != nil {
			t.Errorf("what succeeded gave %v", err)
		}
	})
	ctx, interrupt := context.WithCancel(t.Context())
	p := newPatience(ctx, time.Hour)
	interrupt()
	<-p.Done()
	if err := p.end(p.Err()); !errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an interrupt gave %v", err)
	}
}
