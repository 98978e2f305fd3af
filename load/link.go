package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"quicnprotochat/client"
	"quicnprotochat/quicrpc"
)

// A link is a client's connection that is made anew whenever it is lost. It listens, and serves calls meanwhile.
type link struct {
	r   *run
	who int
	// listen serves one connection until that ends, and says why.
	listen func(ctx context.Context, s *client.Session, started func()) error

	mu    sync.Mutex
	live  *client.Session // nil: there is none
	ready chan struct{}   // closed when there is one
}

// Backoff of a link: a random time below a bound that doubles.
const (
	minPause = 50 * time.Millisecond
	maxPause = 2 * time.Second
	// patience is how long a handshake or a call may take before it is tried anew: a daemon that was killed answers nothing.
	patience = 20 * time.Second
	// firstTries is how often a client tries to connect that never was: there may be no daemon at all.
	firstTries = 3
	// away is how long one that was may be unable to connect again.
	away = 3 * time.Minute
)

// reconnects counts what links did.
type reconnects struct {
	connections, calls atomic.Uint64
}

// openLink makes the first connection and returns when it listens. An error that no new attempt cures ends the run by cancel.
func (r *run) openLink(ctx context.Context, cancel context.CancelCauseFunc, l *link) error {
	l.r, l.ready = r, make(chan struct{})
	r.links.Go(func() {
		if err := l.keep(ctx); ctx.Err() == nil {
			cancel(err)
		}
	})
	_, err := l.get(ctx)
	return err
}

// keep holds a connection until ctx is over.
func (l *link) keep(ctx context.Context) error {
	pause, connected := minPause, false
	var lost int64 // when the last connection was; 0: there is one, or was none yet
	for tries := 1; ; tries++ {
		err := l.once(ctx, func() {
			if lost != 0 {
				l.r.again.connections.Add(1)
			}
			pause, connected, lost = minPause, true, 0
		})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if lost == 0 {
			lost = now()
		}
		if !passing(err) || !connected && tries == firstTries || now()-lost > int64(away) {
			return err
		}
		if err := rest(ctx, rand.N(pause)); err != nil {
			return err
		}
		pause = min(2*pause, maxPause)
	}
}

// once makes a connection and listens until it ends.
func (l *link) once(ctx context.Context, started func()) error {
	dialing, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s, err := l.r.dial(dialing, l.who)
	if err != nil {
		return err
	}
	defer l.r.hangUp(s)
	defer l.set(nil)
	return l.listen(ctx, s, func() {
		started()
		l.set(s)
	})
}

func (l *link) set(s *client.Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case s != nil:
		l.live = s
		close(l.ready)
	case l.live != nil:
		l.live, l.ready = nil, make(chan struct{})
	}
}

// get returns the connection, and waits for one if there is none.
func (l *link) get(ctx context.Context) (*client.Session, error) {
	for {
		l.mu.Lock()
		s, ready := l.live, l.ready
		l.mu.Unlock()
		if s != nil {
			return s, nil
		}
		select {
		case <-ready:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// retry makes a call, and makes it again while it fails for a reason that passes, and soon enough. f repeats the same call with the same ids.
func (l *link) retry(ctx context.Context, f func(ctx context.Context, s *client.Session) error) error {
	began := now()
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		s, err := l.get(ctx)
		if err != nil {
			return err
		}
		call, cancel := context.WithTimeout(ctx, patience)
		err = f(call, s)
		cancel()
		if err == nil || !passing(err) || ctx.Err() != nil {
			return err
		}
		if since := time.Duration(now() - began); since > l.bearable(err) {
			return fmt.Errorf("a call fails for %v now: %w", since.Round(time.Second), err)
		}
		l.r.again.calls.Add(1)
		if err := rest(ctx, rand.N(pause)); err != nil {
			return err
		}
	}
}

// bearable is for how long a call may fail in that way: a daemon that is there, and says that it cannot, is not about to come back.
func (l *link) bearable(err error) time.Duration {
	if errors.Is(err, quicrpc.ErrUnavailable) {
		return min(away, l.r.cfg.Drain)
	}
	return away
}

// passing says whether another attempt may do better.
func passing(err error) bool {
	var conn *quicrpc.ConnError
	var stream *quicrpc.StreamError
	if errors.Is(err, quicrpc.ErrTLS) || errors.Is(err, quicrpc.ErrCertificateRequired) {
		return false
	}
	return errors.Is(err, client.ErrUnreachable) || errors.As(err, &conn) || errors.As(err, &stream) ||
		errors.Is(err, quicrpc.ErrUnavailable) || errors.Is(err, quicrpc.ErrClosed) || errors.Is(err, context.DeadlineExceeded)
}

// rest waits, to let the daemon alone for a time.
func rest(ctx context.Context, d time.Duration) error { return until(ctx, now()+int64(d)) }

// poster posts to a group over a link. A call that failed is repeated with the same ids, so one call at a time keeps the order: as the client's outbox does.
func (l *link) poster(seal func(batch []message) ([]client.GroupPost, error)) transmit {
	return func(ctx context.Context, batch []message) (func() ([]outcome, error), error) {
		return func() (out []outcome, err error) {
			err = l.retry(ctx, func(ctx context.Context, s *client.Session) error {
				posts, err := seal(batch)
				if err != nil {
					return err
				}
				res, err := s.Post(ctx, posts)
				if err != nil {
					return err
				}
				out = make([]outcome, len(res))
				for i := range res {
					out[i] = outcome{res[i].Status, res[i].Seq}
				}
				return nil
			})
			return out, err
		}, nil
	}
}
