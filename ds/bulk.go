package ds

import (
	"context"
	"sync"

	"quicnprotochat/quicrpc"
)

// bulk bounds how many calls that move much data work at once, on one connection and in all, so that they leave the disk, and memory, to small messages. Safe
// for concurrent use.
type bulk struct {
	all chan struct{}

	mu    sync.Mutex
	gates map[Session]*gate // those that somebody is at
}

type gate struct {
	work chan struct{}
	at   int // calls that work or wait
}

const (
	// maxBulk calls work at once in all, each with a chunk of a blob in memory, or two.
	maxBulk = 32
	// maxBulkEach work at once on one connection, and
	maxBulkEach = 2
	// maxBulkWaiting more may wait.
	maxBulkWaiting = 14
)

func newBulk() *bulk {
	return &bulk{all: make(chan struct{}, maxBulk), gates: make(map[Session]*gate)}
}

// enter waits for a place, which done gives back.
func (b *bulk) enter(ctx context.Context, session Session) (done func(), err error) {
	b.mu.Lock()
	g := b.gates[session]
	if g == nil {
		g = &gate{work: make(chan struct{}, maxBulkEach)}
		b.gates[session] = g
	}
	if g.at == maxBulkEach+maxBulkWaiting {
		b.mu.Unlock()
		return nil, quicrpc.Errorf(quicrpc.CodeRateLimited, "%d calls for blobs are under way on this connection", maxBulkEach+maxBulkWaiting)
	}
	g.at++
	b.mu.Unlock()
	if err := b.wait(ctx, session, g); err != nil {
		b.leave(session, g)
		return nil, err
	}
	return func() {
		<-b.all
		<-g.work
		b.leave(session, g)
	}, nil
}

func (b *bulk) wait(ctx context.Context, session Session, g *gate) error {
	if err := b.place(ctx, session, g.work); err != nil {
		return err
	}
	if err := b.place(ctx, session, b.all); err != nil {
		<-g.work
		return err
	}
	return nil
}

func (b *bulk) place(ctx context.Context, session Session, places chan struct{}) error {
	select {
	case places <- struct{}{}:
		return nil
	case <-ctx.Done():
	case <-session.Context().Done():
	}
	return quicrpc.Errorf(quicrpc.CodeUnavailable, "the call took too long or was cancelled")
}

func (b *bulk) leave(session Session, g *gate) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if g.at--; g.at == 0 {
		delete(b.gates, session)
	}
}
