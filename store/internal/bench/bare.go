package main

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"sync"

	"quicnprotochat/store"
	"quicnprotochat/store/internal/wal"
)

// bareRecord is what the bare log stores for a message beside its payload: the bytes of owner, id and numbers.
const bareRecord = 32 + 16 + 16

// bareAck is what it stores for an acknowledgement: a mark, owner and number.
const bareAck = 8 + 32 + 8

// bare is the floor: a log that many callers share the wait for, and nothing else. What a cycle must write it writes, in the two calls that a cycle makes: a message that is on
// disk, and an acknowledgement that is written, when the call returns. It has no order, no duplicates, and what it reads is what it was given.
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
	cursors  []store.Cursor
	done     chan error
}

func (c *bareCall) size() (bytes, records int) {
	for i := range c.messages {
		bytes += bareRecord + len(c.messages[i].Payload)
	}
	return bytes + len(c.cursors)*bareAck, len(c.messages) + len(c.cursors)
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
		n, _ := c.size()
		if size += n; size > most && i > 0 {
			return i
		}
	}
	return len(calls)
}

func (b *bare) write(calls []*bareCall) error {
	size, count, sync := 0, 0, false
	for _, c := range calls {
		n, records := c.size()
		size, count, sync = size+n, count+records, sync || c.messages != nil
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
		for i := range c.cursors {
			record, _ := batch.Record(bareAck)
			copy(record, "acknow\x00\x00")
			copy(record[8:], c.cursors[i].Queue.Owner[:])
			binary.BigEndian.PutUint64(record[40:], c.cursors[i].Seq)
		}
	}
	if err := b.log.Write(batch, sync); err != nil {
		return err
	}
	// A few segments are kept, as an engine would whose messages are all acknowledged.
	if current := b.log.Segment(); current > b.log.Oldest()+4 {
		return b.log.Retire(current - 4)
	}
	return nil
}

func (b *bare) submit(c *bareCall) {
	b.mu.Lock()
	b.waiting = append(b.waiting, c)
	b.news.Signal()
	b.mu.Unlock()
}

func (b *bare) Enqueue(_ context.Context, messages []store.Message) ([]store.Result, error) {
	c := &bareCall{messages: messages, done: make(chan error, 1)}
	b.submit(c)
	if err := <-c.done; err != nil {
		return nil, err
	}
	return make([]store.Result, len(messages)), nil
}

// Read is not called.
func (b *bare) Read(context.Context, store.QueueID, uint64, int, int) (store.Page, error) {
	return store.Page{}, errors.New("a bare log reads nothing")
}

func (b *bare) Acknowledge(_ context.Context, cursors []store.Cursor) error {
	c := &bareCall{cursors: cursors, done: make(chan error, 1)}
	b.submit(c)
	return <-c.done
}

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
