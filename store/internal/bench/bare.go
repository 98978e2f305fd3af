package main

import (
	"context"
	"errors"
	"os"
	"sync"

	"quicnprotochat/store"
	"quicnprotochat/store/internal/wal"
)

// bareRecord is what the bare log stores for a message beside its payload: the bytes of owner, id and numbers.
const bareRecord = 32 + 16 + 16

// bare is the floor: a log that many callers share the wait for, and nothing else. It has no order, no duplicates, no reading.
type bare struct {
	log *wal.Log

	mu      sync.Mutex
	waiting []*bareCall
	news    *sync.Cond
	closed  bool
	done    chan struct{}
}

type bareCall struct {
	messages []store.Message
	done     chan error
}

func openBare(dir string, fs wal.FS) (engine, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	log, _, err := wal.Open(wal.Options{FS: fs, Dir: dir}, 0, func(wal.Pos, []byte) error { return nil })
	if err != nil {
		return nil, err
	}
	b := &bare{log: log, done: make(chan struct{})}
	b.news = sync.NewCond(&b.mu)
	go b.run()
	return b, nil
}

func (b *bare) run() {
	defer close(b.done)
	var calls []*bareCall
	for {
		b.mu.Lock()
		for len(b.waiting) == 0 && !b.closed {
			b.news.Wait()
		}
		calls, b.waiting = b.waiting, calls[:0]
		closed := b.closed
		b.mu.Unlock()
		if len(calls) == 0 && closed {
			return
		}
		for rest := calls; len(rest) > 0; {
			n := fits(rest)
			err := b.write(rest[:n])
			for _, c := range rest[:n] {
				c.done <- err
			}
			rest = rest[n:]
		}
		clear(calls)
	}
}

// fits is how many of the calls go into one batch, at least one.
func fits(calls []*bareCall) int {
	const most = 4 << 20
	size := 0
	for i, c := range calls {
		for j := range c.messages {
			size += bareRecord + len(c.messages[j].Payload)
		}
		if size > most && i > 0 {
			return i
		}
	}
	return len(calls)
}

func (b *bare) write(calls []*bareCall) error {
	size, count := 0, 0
	for _, c := range calls {
		for i := range c.messages {
			size += bareRecord + len(c.messages[i].Payload)
			count++
		}
	}
	batch, err := b.log.Begin(size, count)
	if err != nil {
		return err
	}
	for _, c := range calls {
		for i := range c.messages {
			m := &c.messages[i]
			record, _ := batch.Record(bareRecord + len(m.Payload))
			copy(record, m.Queue.Owner[:])
			copy(record[32:], m.ID[:])
			copy(record[bareRecord:], m.Payload)
		}
	}
	if err := b.log.Write(batch, true); err != nil {
		return err
	}
	// A few segments are kept, as an engine would whose messages are all acknowledged.
	if current := b.log.Segment(); current > b.log.Oldest()+4 {
		return b.log.Retire(current - 4)
	}
	return nil
}

func (b *bare) Enqueue(_ context.Context, messages []store.Message) ([]store.Result, error) {
	c := &bareCall{messages: messages, done: make(chan error, 1)}
	b.mu.Lock()
	b.waiting = append(b.waiting, c)
	b.news.Signal()
	b.mu.Unlock()
	if err := <-c.done; err != nil {
		return nil, err
	}
	return make([]store.Result, len(messages)), nil
}

var errBare = errors.New("a bare log has no such thing")

func (b *bare) Read(context.Context, store.QueueID, uint64, int, int) (store.Page, error) {
	return store.Page{}, errBare
}

func (b *bare) Acknowledge(context.Context, []store.Cursor) error { return errBare }

func (b *bare) Sweep(context.Context, int) (store.SweepResult, error) {
	return store.SweepResult{}, nil
}

func (b *bare) Close() error {
	b.mu.Lock()
	b.closed = true
	b.news.Signal()
	b.mu.Unlock()
	<-b.done
	return b.log.Close()
}
