package load

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// minToken is the length of the shortest token that is taken: whoever knows it can have the worker send to any address.
const minToken = 16

const (
	greetingTime = 5 * time.Second
	handover     = 2 * time.Second // for the caller before to be done with
	acceptPause  = time.Second     // before another attempt to accept
	maxStrangers = 16              // connections that have not shown yet that they know the token
)

// CheckToken refuses a token that can be guessed.
func CheckToken(token string) error {
	if len(token) < minToken {
		return fmt.Errorf("%w: the token of the workers has %d characters, want %d", ErrConfig, len(token), minToken)
	}
	return nil
}

// ServeWorkers does the parts of runs that callers who know the token ask for, one caller at a time, until ctx is over.
func ServeWorkers(ctx context.Context, l net.Listener, token string, tell func(string)) error {
	if err := CheckToken(token); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var open sync.WaitGroup
	defer open.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	strangers := make(chan struct{}, maxStrangers)
	busy := make(chan struct{}, 1)
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			tell(fmt.Sprintf("no connection can be accepted: %v", err)) // for lack of file descriptors, say: that passes
			_ = rest(ctx, acceptPause)
			continue
		}
		select {
		case strangers <- struct{}{}:
		default:
			_ = conn.Close()
			continue
		}
		open.Go(func() {
			defer conn.Close()
			t := newTalk(conn)
			_ = conn.SetDeadline(time.Now().Add(greetingTime))
			err := t.challenge(token)
			<-strangers
			if err != nil {
				tell(fmt.Sprintf("%s refused: %v", conn.RemoteAddr(), err))
				return
			}
			_ = conn.SetDeadline(time.Time{})
			select {
			case busy <- struct{}{}:
			case <-time.After(handover):
				_ = t.send(dispatch{Type: typeFailed, Error: "the worker is busy with another run"})
				return
			}
			defer func() { <-busy }()
			if t.send(dispatch{Type: typeWelcome}) != nil {
				return
			}
			tell(fmt.Sprintf("%s has this worker", conn.RemoteAddr()))
			err = work(ctx, t, conn)
			tell(fmt.Sprintf("%s has gone: %v", conn.RemoteAddr(), err))
		})
	}
}

// challenge has the caller show that it knows the token.
func (t *talk) challenge(token string) error {
	nonce := make([]byte, nonceSize)
	_, _ = rand.Read(nonce)
	if err := t.send(dispatch{Type: typeChallenge, Protocol: workerProtocol, Nonce: nonce}); err != nil {
		return err
	}
	d, err := t.want(typeAnswer, maxGreeting)
	if err != nil {
		return err
	}
	if !hmac.Equal(d.MAC, prove(token, nonce)) { // in constant time
		_ = t.send(dispatch{Type: typeFailed, Error: "the worker has another token"})
		return errors.New("another token")
	}
	return nil
}

// WorkFor is a worker that its caller started and talks to over rw. It returns when the caller closes it.
func WorkFor(ctx context.Context, rw io.ReadWriteCloser) error {
	return work(ctx, newTalk(rw), rw)
}

// work does what the caller says until it goes or ctx is over.
func work(ctx context.Context, t *talk, closer io.Closer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { _ = closer.Close() })()
	lines := make(chan dispatch)
	go func() {
		for {
			d, err := t.receive(maxLine)
			if err != nil {
				cancel(err)
				return
			}
			select {
			case lines <- d:
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		select {
		case d := <-lines:
			if err := obey(ctx, t, lines, d); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func obey(ctx context.Context, t *talk, lines <-chan dispatch, d dispatch) error {
	switch d.Type {
	case typeClock:
		return t.send(dispatch{Type: typeClock, At: now()})
	case typeRun:
		// A worker starts nothing, writes no file and looks at no process of its machine: that is for the caller's own part.
		cfg := d.Config.forWorker()
		err := cfg.check()
		if err == nil && cfg.Worker == 0 {
			err = fmt.Errorf("%w: the first part of a run is the caller's own", ErrConfig)
		}
		if err != nil {
			return t.send(dispatch{Type: typeFailed, Error: err.Error()})
		}
		return takePart(ctx, t, lines, cfg)
	case typeAbort: // of a run whose part was told already
		return nil
	default:
		return fmt.Errorf("%w: %q when no run is under way", errProtocol, d.Type)
	}
}

// errCalledOff ends a worker's part.
var errCalledOff = errors.New("the caller has ended the run")

// takePart does a run's part and tells it, even if the caller has ended the run before: what was found until then counts.
func takePart(ctx context.Context, t *talk, lines <-chan dispatch, cfg Config) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	said, done := make(chan dispatch, 2), make(chan *part, 1) // start and stored
	go func() {
		done <- perform(ctx, cfg, &called{t, said}, nil, func(s sample) { _ = t.send(dispatch{Type: typeSample, Sample: s.toWire()}) }, nil)
	}()
	for {
		select {
		case d := <-lines:
			if d.Type == typeAbort {
				end(errCalledOff)
				continue
			}
			select {
			case said <- d:
			default:
				end(fmt.Errorf("%w: %q that nobody waits for", errProtocol, d.Type))
			}
		case p := <-done:
			if err := t.send(dispatch{Type: typePart, Part: p}); err != nil {
				return t.send(dispatch{Type: typeFailed, Error: err.Error()})
			}
			return nil
		}
	}
}

// called is the barrier of a worker.
type called struct {
	t     *talk
	lines <-chan dispatch
}

func (c *called) ready(ctx context.Context) (int64, error) {
	if err := c.t.send(dispatch{Type: typeReady}); err != nil {
		return 0, err
	}
	d, err := c.next(ctx, typeStart)
	return d.At, err
}

func (c *called) stopped(ctx context.Context, stored map[string]digest) (map[string]digest, error) {
	if err := c.t.send(dispatch{Type: typeStopped, Stored: toWire(stored)}); err != nil {
		return nil, err
	}
	d, err := c.next(ctx, typeStored)
	return fromWire(d.Stored), err
}

func (c *called) next(ctx context.Context, kind string) (dispatch, error) {
	select {
	case d := <-c.lines:
		if d.Type != kind {
			return d, fmt.Errorf("%w: %q in place of %q", errProtocol, d.Type, kind)
		}
		return d, nil
	case <-ctx.Done():
		return dispatch{}, context.Cause(ctx)
	}
}
