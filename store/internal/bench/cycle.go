package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"quicnprotochat/store"
	"quicnprotochat/store/internal/wal"
)

// figures are what one child process found.
type figures struct {
	PerSecond float64   // messages that were stored, read and acknowledged
	P50, P99  float64   // of the durable enqueue, milliseconds
	CPU       float64   // microseconds a message, user and system
	Written   float64   // bytes written to files for each byte of payload
	Memory    float64   // resident at the end, MB
	Rates     []float64 // of each slice
	Beside    []float64 // of a new store after each slice
	CPUs      []float64 // microseconds a message in each slice
	Open      float64   // seconds
	Queued    int       // found after opening
	Residents []float64 // resident, MB
	Disk      []float64 // bytes of the directory, MB
}

// caller is one goroutine's part of the recipients.
type caller struct {
	s        settings
	e        engine
	queues   []store.QueueID
	seqs     []uint64
	next     int
	payload  []byte
	waits    *histogram
	total    *atomic.Uint64
	messages []store.Message
	cursors  []store.Cursor
	salt     uint64
	count    uint64
}

// cycle stores PerCall messages, reads each, and acknowledges them.
func (c *caller) cycle(ctx context.Context) error {
	c.cursors = c.cursors[:0]
	first := c.next
	for i := range c.messages {
		at := (first + i) % len(c.queues)
		m := &c.messages[i]
		m.Queue, m.Payload = c.queues[at], c.payload
		c.count++
		binary.BigEndian.PutUint64(m.ID[:], c.salt)
		binary.BigEndian.PutUint64(m.ID[8:], c.count)
	}
	c.next = (first + len(c.messages)) % len(c.queues)
	start := time.Now()
	results, err := c.e.Enqueue(ctx, c.messages)
	if err != nil {
		return err
	}
	c.waits.add(time.Since(start))
	for i, r := range results {
		at := (first + i) % len(c.queues)
		if c.s.Engine == "bare" {
			c.seqs[at]++
			c.cursors = append(c.cursors, store.Cursor{Queue: c.queues[at], Seq: c.seqs[at]})
			continue
		}
		if r.Status != store.Stored || r.Seq != c.seqs[at]+1 {
			return fmt.Errorf("message %d of queue %d: %+v", c.seqs[at]+1, at, r)
		}
		page, err := c.e.Read(ctx, c.queues[at], c.seqs[at], 1, 1<<20)
		if err != nil {
			return err
		}
		if len(page.Messages) != 1 || page.Messages[0].ID != c.messages[i].ID {
			return fmt.Errorf("read of queue %d: %d messages", at, len(page.Messages))
		}
		c.seqs[at] = r.Seq
		c.cursors = append(c.cursors, store.Cursor{Queue: c.queues[at], Seq: r.Seq})
	}
	if err := c.e.Acknowledge(ctx, c.cursors); err != nil {
		return err
	}
	c.total.Add(uint64(len(results)))
	return nil
}

func recipient(n int) (id store.Identity) {
	binary.BigEndian.PutUint64(id[:], uint64(n)*0x9e3779b97f4a7c15) // spread, as keys are
	binary.BigEndian.PutUint64(id[24:], uint64(n))
	return id
}

func random() (n uint64) {
	var b [8]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint64(b[:])
}

func callers(s settings, e engine, total *atomic.Uint64, waits *histogram) []*caller {
	list := make([]*caller, s.Callers)
	each := max(s.Recipients/s.Callers, s.PerCall)
	payload := make([]byte, s.Payload)
	rand.Read(payload) // nothing can be won by compression: the payloads are ciphertext
	for i := range list {
		c := &caller{s: s, e: e, payload: payload, total: total, waits: waits, salt: random(), messages: make([]store.Message, s.PerCall)}
		for j := range each {
			c.queues = append(c.queues, store.QueueID{Owner: recipient(i*each + j)})
		}
		c.seqs = make([]uint64, each)
		list[i] = c
	}
	return list
}

// measureCycles fills a backlog and measures cycles beside it.
func measureCycles(s settings) (figures, error) {
	fs := &disk{FS: wal.OSFS()}
	e, err := openEngine(s, fs)
	if err != nil {
		return figures{}, err
	}
	defer e.Close()
	if err := fill(e, s); err != nil {
		return figures{}, err
	}
	var total atomic.Uint64
	var waits histogram
	var held gate
	list := callers(s, e, &total, &waits)
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for _, c := range list {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				held.RLock()
				err := c.cycle(ctx)
				held.RUnlock()
				if err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	go sweepAll(ctx, e)
	warmUp(ctx, s, &total)
	f, err := watch(ctx, s, &total, fs, &held)
	close(stop)
	wg.Wait()
	if err = errors.Join(err, context.Cause(ctx)); err != nil {
		return f, err
	}
	f.P50, f.P99 = waits.quantile(0.5), waits.quantile(0.99)
	return f, nil
}

// warmUp waits for a quarter of the measurement's time, and until every caller is likely to have done its first two cycles, for which much is
// loaded; but for a minute at most.
func warmUp(ctx context.Context, s settings, total *atomic.Uint64) {
	least, most := time.After(min(s.For/4, 2*time.Second)), time.After(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	select {
	case <-least:
	case <-ctx.Done():
	}
	for total.Load() < uint64(2*s.Callers*s.PerCall) {
		select {
		case <-tick.C:
		case <-most:
			return
		case <-ctx.Done():
			return
		}
	}
}

// watch counts for the time of the measurement.
func watch(ctx context.Context, s settings, total *atomic.Uint64, fs *disk, held *gate) (f figures, err error) {
	slicesOf := max(s.Slices, 1)
	written, n := fs.written.Load(), total.Load()
	var spent, cpu time.Duration
	var done uint64
	for range slicesOf {
		begin, busy, before := time.Now(), cpuTime(), total.Load()
		select {
		case <-time.After(s.For / time.Duration(slicesOf)):
		case <-ctx.Done():
			return f, nil
		}
		took, used, some := time.Since(begin), cpuTime()-busy, total.Load()-before
		spent, cpu, done = spent+took, cpu+used, done+some
		f.Rates = append(f.Rates, float64(some)/took.Seconds())
		f.CPUs = append(f.CPUs, float64(used)/1e3/float64(max(some, 1)))
		f.Residents = append(f.Residents, resident())
		f.Disk = append(f.Disk, diskUsed(s.Dir))
		if s.Beside > 0 {
			rate, err := held.beside(s)
			if err != nil {
				return f, err
			}
			f.Beside = append(f.Beside, rate)
		}
	}
	done = max(done, 1) // none: the rate is far below what the time can show
	f.PerSecond = float64(done) / spent.Seconds()
	f.CPU = float64(cpu) / 1e3 / float64(done)
	f.Written = float64(fs.written.Load()-written) / (float64(max(total.Load()-n, 1)) * float64(s.Payload))
	f.Memory = resident()
	return f, nil
}
