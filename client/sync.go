package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Sync sends what waits in the outbox and takes in everything that waits at the server, once. Messages of groups that were not joined
// stay at the server; their number is returned.
func (a *Account) Sync(ctx context.Context, s *Session) (waiting uint64, err error) {
	if err := a.atHome(s); err != nil {
		return 0, err
	}
	// What cannot be sent does not keep what has come from being received.
	unsent := a.Flush(ctx, s)
	if unsent != nil && (s.Err() != nil || ctx.Err() != nil) {
		return 0, unsent
	}
	defer func() { err = errors.Join(err, unsent) }()
	queues, err := s.Queues(ctx)
	if err != nil {
		return 0, err
	}
	for _, q := range queues {
		known, err := a.knows(q.Queue)
		if err != nil {
			return waiting, err
		}
		if !known {
			waiting += q.Messages // not even fetched: anybody can make such a queue
			continue
		}
		if err := a.syncQueue(ctx, s, q.Queue); err != nil {
			return waiting, err
		}
	}
	return waiting, nil
}

// syncQueue takes in one queue, batch by batch: read, store, acknowledge.
func (a *Account) syncQueue(ctx context.Context, s *Session, queue Queue) error {
	if err := a.atHome(s); err != nil {
		return err
	}
	for more := true; more; {
		var cursor uint64
		err := a.state.view(func(tx *bolt.Tx) error {
			cursor = getCursor(tx, queue)
			return nil
		})
		if err != nil {
			return err
		}
		var batch []Envelope
		if batch, more, err = s.FetchAfter(ctx, Cursor{queue, cursor}); err != nil {
			return err
		}
		if len(batch) == 0 {
			return nil
		}
		if err := a.take(queue, batch); err != nil {
			return err
		}
		if err := s.Acknowledge(ctx, []Cursor{{queue, batch[len(batch)-1].Seq}}); err != nil {
			return err
		}
	}
	return nil
}

// joinPatience is how long messages of a group wait for its Welcome, which travels on a stream of its own, before they are
// left at the server for later.
const joinPatience = 5 * time.Second

// Listen takes in what the server pushes over s until ctx or the connection ends, and calls news after each step that changed something.
// Messages of groups that are not joined wait a while for their Welcome and then stay at the server. Meanwhile KeyPackages are published when few are left.
func (a *Account) Listen(ctx context.Context, s *Session, started func(), news func()) error {
	if err := a.atHome(s); err != nil {
		return err
	}
	cursors, err := a.cursors()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var filling sync.WaitGroup
	defer filling.Wait()
	defer cancel()
	low := make(chan bool, 1) // whether the last-resort KeyPackage was used
	filling.Go(func() { a.refill(ctx, s, low) })
	opts := ListenOptions{Cursors: cursors, Started: started, PoolLow: func(_ int, used bool) {
		select {
		case low <- used:
		case before := <-low: // it is at it: one more look is enough
			low <- before || used
		}
	}}
	return s.Listen(ctx, opts, func(ctx context.Context, queue Queue, batch []Envelope) error {
		if err := a.takeWhenJoined(ctx, queue, batch); err != nil {
			return err
		}
		news()
		return nil
	})
}

func (a *Account) takeWhenJoined(ctx context.Context, queue Queue, batch []Envelope) error {
	patience := time.NewTimer(joinPatience)
	defer patience.Stop()
	for {
		a.mu.Lock()
		joined := a.joined
		a.mu.Unlock()
		err := a.take(queue, batch)
		if !errors.Is(err, ErrLater) {
			return err
		}
		select {
		case <-joined:
		case <-patience.C:
			return ErrLater
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// maxCursors is the most cursors that one listen takes.
const maxCursors = 1024

func (a *Account) cursors() (out []Cursor, err error) {
	err = a.state.view(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketCursors).ForEach(func(k, v []byte) error {
			queue := Queue{string(k[1:]), k[0] == 's'}
			if len(out) < maxCursors {
				out = append(out, Cursor{queue, getCursor(tx, queue)})
			}
			return nil
		})
	})
	return out, err
}

// Backoff bounds of Follow: between attempts it waits a random time up to a bound that doubles.
const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 10 * time.Second
)

// Follow keeps a connection: dials, sends what waits, listens, and dials again when the connection is lost, until ctx ends or an
// error comes that no new attempt would cure (an unknown server key, a broken state, an identity refused). notice, if not nil, is
// told of each loss and each connection.
func (a *Account) Follow(ctx context.Context, opts DialOptions, news func(), notice func(connected bool, err error)) error {
	if notice == nil {
		notice = func(bool, error) {}
	}
	backoff := minBackoff
	for {
		err := a.followOnce(ctx, opts, news, func() {
			backoff = minBackoff
			notice(true, nil)
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !transient(err) {
			return err
		}
		notice(false, err)
		select {
		case <-time.After(rand.N(backoff)):
		case <-ctx.Done():
			return ctx.Err()
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

func (a *Account) followOnce(ctx context.Context, opts DialOptions, news func(), started func()) error {
	s, err := a.Dial(ctx, opts)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := a.Flush(ctx, s); err != nil {
		if s.Err() != nil {
			return err
		}
		a.log.Warn("not everything was sent", "err", err) // it goes with the next connection; what comes is received all the same
	}
	return a.Listen(ctx, s, started, news)
}
