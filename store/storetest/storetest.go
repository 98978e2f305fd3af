// Package storetest holds every store engine to the rules of package store.
package storetest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"quicnprotochat/store"
)

// basicTests are of messages and KeyPackages.
var basicTests = []test{
	{"order", testOrder},
	{"visible only when stored", testConcurrentReaders},
	{"duplicates", testDuplicates},
	{"duplicates in flight", testDuplicatesInFlight},
	{"duplicates in time", testDuplicatesInTime},
	{"restart", testRestart},
	{"acknowledge", testAcknowledge},
	{"acknowledge much", testAcknowledgeMuch},
	{"limits of read", testReadLimits},
	{"large payloads", testLarge},
	{"bad arguments", testBadArguments},
	{"quota", testQuota},
	{"quota race", testQuotaRace},
	{"queues of an owner", testQueueQuota},
	{"list of queues", testQueues},
	{"empty head", testEmptyHead},
	{"many queues", testManyQueues},
	{"groups are apart", testGroupsApart},
	{"hints", testHints},
	{"hints of many groups", testHintsOverflow},
	{"hints call", testHintsCall},
	{"key packages", testKeyPackages},
	{"key packages once", testTakeOnce},
	{"key packages once, restarted", testTakeOnceRestarted},
	{"key packages expire", testKeyPackagesExpire},
	{"last resort", testLastResort},
	{"key package conflicts", testKeyPackageConflicts},
	{"close", testClose},
	{"contexts", testContext},
	{"against a model", testModel},
}

// engine is a test's access to the engine under test, with a clock that it moves.
type engine struct {
	*testing.T
	open Open[Engine]
	opened
	copyOf func(dir string) Engine
	newDir func() string
	mu     sync.Mutex
	now    time.Time
}

type opened struct {
	Engine
	restart func() Engine
}

func (e *engine) clock() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.now
}

func (e *engine) pass(d time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.now = e.now.Add(d)
}

func (e *engine) start(q store.Quota) {
	e.Helper()
	o := e.open(e.T, Config{Quota: q, Clock: e.clock})
	e.opened = opened{o.Store, o.Restart}
	e.copyOf, e.newDir = o.Copy, o.Dir
	e.Cleanup(func() { _ = e.Engine.Close() })
}

// again restarts the engine if it keeps anything, and says whether it did.
func (e *engine) again() bool {
	if e.restart == nil {
		e.Log("no restart: the engine keeps nothing on disk")
		return false
	}
	e.Engine = e.restart()
	return true
}

func owner(n int) (id store.Identity) {
	binary.BigEndian.PutUint64(id[:], uint64(n))
	id[31] = 7
	return id
}

func inbox(n int) store.QueueID { return store.QueueID{Owner: owner(n)} }

func id(n int) (m store.MessageID) {
	binary.BigEndian.PutUint64(m[:], uint64(n)+1)
	return m
}

func message(q store.QueueID, n int) store.Message {
	return store.Message{Queue: q, ID: id(n), Payload: binary.BigEndian.AppendUint64(nil, uint64(n))}
}

func number(d store.Delivery) int { return int(binary.BigEndian.Uint64(d.Payload)) }

// put enqueues message n to q and expects it to be stored.
func (e *engine) put(q store.QueueID, n int) uint64 {
	e.Helper()
	r := e.enqueue(message(q, n))
	if r.Status != store.Stored {
		e.Fatalf("message %d: %+v, want stored", n, r)
	}
	return r.Seq
}

func (e *engine) enqueue(m store.Message) store.Result {
	e.Helper()
	r, err := e.Enqueue(context.Background(), []store.Message{m})
	if err != nil || len(r) != 1 {
		e.Fatalf("enqueue: %v, %v", r, err)
	}
	return r[0]
}

func (e *engine) read(q store.QueueID, after uint64) store.Page {
	e.Helper()
	p, err := e.Read(context.Background(), q, after, 1<<20, 1<<30)
	if err != nil {
		e.Fatalf("read: %v", err)
	}
	return p
}

func (e *engine) ack(q store.QueueID, seq uint64) {
	e.Helper()
	if err := e.Acknowledge(context.Background(), []store.Cursor{{Queue: q, Seq: seq}}); err != nil {
		e.Fatalf("acknowledge %d: %v", seq, err)
	}
}

// expect checks that q holds exactly the numbers, from seq first on.
func (e *engine) expect(q store.QueueID, first uint64, numbers ...int) {
	e.Helper()
	p := e.read(q, 0)
	if len(p.Messages) != len(numbers) {
		e.Fatalf("%d messages, want %d", len(p.Messages), len(numbers))
	}
	for i, m := range p.Messages {
		if m.Seq != first+uint64(i) || number(m) != numbers[i] || m.ID != id(numbers[i]) {
			e.Fatalf("message %d: seq %d number %d, want seq %d number %d", i, m.Seq, number(m), first+uint64(i), numbers[i])
		}
	}
}

func (e *engine) keyPackage(n int, life time.Duration) store.KeyPackage {
	data := binary.BigEndian.AppendUint64([]byte("key package "), uint64(n))
	return store.KeyPackage{
		Fingerprint: sha256.Sum256(data),
		InitKey:     sha256.Sum256(append([]byte("init"), data...)),
		NotAfter:    e.clock().Add(life),
		Data:        data,
	}
}
