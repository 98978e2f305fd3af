package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"quicnprotochat/store"
	"quicnprotochat/store/internal/wal"
)

// backlogQueue is one of the queues that the backlog lies in: a hundred messages each, of owners that take no part in the cycles.
func backlogQueue(n int) store.QueueID { return store.QueueID{Owner: recipient(1<<40 + n)} }

const backlogPerQueue = 100

// fill enqueues the backlog, spread over its queues as messages to many absent recipients would be.
func fill(e engine, s settings) error {
	const writers, perCall = 16, 500
	queues := max(s.Backlog/backlogPerQueue, 1)
	payload := make([]byte, s.Payload)
	salt := random()
	errs := make(chan error, writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			messages := make([]store.Message, 0, perCall)
			for i := w; i < s.Backlog; i += writers {
				m := store.Message{Queue: backlogQueue(i % queues), Payload: payload}
				binary.BigEndian.PutUint64(m.ID[:], salt)
				binary.BigEndian.PutUint64(m.ID[8:], uint64(i))
				if messages = append(messages, m); len(messages) < perCall && i+writers < s.Backlog {
					continue
				}
				if _, err := e.Enqueue(context.Background(), messages); err != nil {
					errs <- err
					return
				}
				messages = messages[:0]
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return fmt.Errorf("filling: %w", err)
	default:
		return nil
	}
}

// measureOpening is used twice on one directory: the first process fills the store and ends without closing it, as a crash would; the second opens it
// and counts.
func measureOpening(s settings) (figures, error) {
	mark := filepath.Join(s.Dir, "filled")
	if _, err := os.Stat(mark); errors.Is(err, os.ErrNotExist) {
		e, err := openEngine(s, &disk{FS: wal.OSFS()})
		if err != nil {
			return figures{}, err
		}
		if err := fill(e, s); err != nil {
			return figures{}, err
		}
		if err := os.WriteFile(mark, nil, 0o600); err != nil {
			return figures{}, err
		}
		os.Stdout.WriteString("{}\n")
		os.Exit(0) // without Close
	}
	begin := time.Now()
	e, err := openEngine(s, &disk{FS: wal.OSFS()})
	if err != nil {
		return figures{}, err
	}
	f := figures{Open: time.Since(begin).Seconds(), Memory: resident()}
	defer e.Close()
	for i := range max(s.Backlog/backlogPerQueue, 1) {
		page, err := e.Read(context.Background(), backlogQueue(i), 0, 2*backlogPerQueue, 1<<30)
		if err != nil {
			return f, err
		}
		f.Queued += len(page.Messages)
	}
	if f.Queued != s.Backlog {
		return f, fmt.Errorf("%d messages after the crash, %d were acknowledged", f.Queued, s.Backlog)
	}
	return f, nil
}
