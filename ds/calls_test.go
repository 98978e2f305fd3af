package ds

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
	"quicnprotochat/store"
	"quicnprotochat/store/memory"
)

func TestEnqueueFetchAcknowledge(t *testing.T) {
	f := start(Limits{})
	alice, bob := f.caller(t, 1), f.caller(t, 2)
	for _, p := range []string{"one", "two", "two"} {
		if err := alice.enqueue(key(2), []byte(p)); err != nil {
			t.Fatal(err)
		}
	}
	r, err := alice.submit(
		submission{id16(1), []byte("g"), []byte("three"), [][]byte{key(2), key(1)}},
		submission{id16(2), nil, []byte("four"), [][]byte{key(2)}},
		submission{id16(1), []byte("g"), []byte("three again"), [][]byte{key(3), key(2)}},
	)
	if err != nil || fmt.Sprint(r) != "[[{1 1} {1 1}] [{1 4}] [{1 1} {2 1}]]" {
		t.Fatalf("%v, %v", r, err)
	}
	for _, k := range [][]byte{nil, key(2)} {
		got, err := bob.fetch(k)
		if err != nil || fmt.Sprintf("%s", got) != "[one two two four three]" {
			t.Fatalf("%s, %v", got, err)
		}
	}
	if q, more, err := bob.queues("", 0); err != nil || more || fmt.Sprint(q) != "[:0-4/4/13 g:0-1/1/5]" {
		t.Fatalf("%v, %v, %v", q, more, err)
	}
	if q, more, err := bob.queues("", 1); err != nil || !more || len(q) != 1 {
		t.Fatalf("%v, %v, %v", q, more, err)
	}
	if q, more, err := bob.queues("a", 1); err != nil || more || fmt.Sprint(q) != "[g:0-1/1/5]" {
		t.Fatalf("%v, %v, %v", q, more, err)
	}
	if q, _, err := bob.queues("g", 1); err != nil || len(q) != 0 {
		t.Fatalf("%v, %v", q, err)
	}
	if s, more, err := bob.after("", 1, 2, 0); err != nil || !more || fmt.Sprint(s) != "[2 3]" {
		t.Fatalf("%v, %v, %v", s, more, err)
	}
	if s, more, err := bob.after("", 1, 0, 1); err != nil || !more || fmt.Sprint(s) != "[2]" {
		t.Fatalf("%v, %v, %v", s, more, err)
	}
	if err := bob.acknowledge(store.Cursor{Seq: 3}, store.Cursor{Queue: store.QueueID{Group: "g"}, Seq: 1}); err != nil {
		t.Fatal(err)
	}
	if got, err := bob.fetch(nil); err != nil || fmt.Sprintf("%s", got) != "[four]" {
		t.Fatalf("%s, %v", got, err)
	}
	want := map[string]uint64{"enqueue": 3, "enqueueMany": 1, "fetch": 3, "fetchAfter": 2, "queues": 4, "acknowledge": 1, "listen": 0}
	for name, got := range f.Calls() {
		if got != want[name] {
			t.Fatalf("%d calls of %s, want %d", got, name, want[name])
		}
	}
}

func TestBadCalls(t *testing.T) {
	f := start(Limits{MaxPayload: 100, MaxBatch: 3, MaxRecipients: 4, MaxStoredBytes: 300})
	k := f.caller(t, 1)
	ok := submission{id16(1), []byte("g"), []byte("p"), [][]byte{key(2)}}
	with := func(change func(*submission)) error {
		s := ok
		change(&s)
		return second(k.submit(ok, s))
	}
	long := strings.Repeat("g", 65)
	for name, c := range map[string]struct {
		err, want error
	}{
		"enqueue to a short key":   {k.enqueue(key(2)[:31], []byte("p")), quicrpc.ErrInvalidArgument},
		"enqueue nothing":          {k.enqueue(key(2), nil), quicrpc.ErrInvalidArgument},
		"enqueue too much":         {k.enqueue(key(2), make([]byte, 101)), quicrpc.ErrTooLarge},
		"fetch another's":          {second(k.fetch(key(2))), quicrpc.ErrNotAuthorized},
		"fetch of a short key":     {second(k.fetch(key(2)[:5])), quicrpc.ErrInvalidArgument},
		"no submissions":           {second(k.submit()), quicrpc.ErrInvalidArgument},
		"too many submissions":     {second(k.submit(ok, ok, ok, ok)), quicrpc.ErrInvalidArgument},
		"short id":                 {with(func(s *submission) { s.id = s.id[:15] }), quicrpc.ErrInvalidArgument},
		"no id":                    {with(func(s *submission) { s.id = nil }), quicrpc.ErrInvalidArgument},
		"long group":               {with(func(s *submission) { s.group = []byte(long) }), quicrpc.ErrInvalidArgument},
		"no payload":               {with(func(s *submission) { s.payload = nil }), quicrpc.ErrInvalidArgument},
		"large payload":            {with(func(s *submission) { s.payload = make([]byte, 101) }), quicrpc.ErrTooLarge},
		"no recipients":            {with(func(s *submission) { s.to = nil }), quicrpc.ErrInvalidArgument},
		"short recipient":          {with(func(s *submission) { s.to = [][]byte{key(1)[:31]} }), quicrpc.ErrInvalidArgument},
		"recipient twice":          {with(func(s *submission) { s.to = [][]byte{key(1), key(2), key(1)} }), quicrpc.ErrInvalidArgument},
		"too many recipients":      {with(func(s *submission) { s.to = [][]byte{key(1), key(2), key(3), key(4)} }), quicrpc.ErrInvalidArgument},
		"too many bytes in all":    {with(func(s *submission) { s.payload = make([]byte, 100); s.to = [][]byte{key(1), key(2), key(3)} }), quicrpc.ErrTooLarge},
		"cursor above last":        {k.acknowledge(store.Cursor{Seq: 1}), quicrpc.ErrInvalidArgument},
		"cursor of a long group":   {k.acknowledge(store.Cursor{Queue: store.QueueID{Group: long}}), quicrpc.ErrInvalidArgument},
		"too many cursors":         {k.acknowledge(make([]store.Cursor, 257)...), quicrpc.ErrInvalidArgument},
		"listen: too many cursors": {second(f.tryListen(k.c, 0, 0, make([]store.Cursor, 1025)...)), quicrpc.ErrInvalidArgument},
		"listen: long group":       {second(f.tryListen(k.c, 0, 0, store.Cursor{Queue: store.QueueID{Group: long}})), quicrpc.ErrInvalidArgument},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", name, c.err, c.want)
		}
	}
	if _, _, err := k.after(long, 0, 0, 0); !errors.Is(err, quicrpc.ErrInvalidArgument) {
		t.Errorf("fetchAfter of a long group: %v", err)
	}
	if _, _, err := k.queues(long, 0); !errors.Is(err, quicrpc.ErrInvalidArgument) {
		t.Errorf("queues after a long group: %v", err)
	}
	if s := f.store.Stats(); s.Stored != 0 {
		t.Fatalf("%d messages stored by calls that failed", s.Stored)
	}
	if st := f.Stats(); st.Listeners != 0 {
		t.Fatalf("%d listeners left by calls that failed", st.Listeners)
	}
	f.Close()
	if err := k.enqueue(key(2), []byte("p")); !errors.Is(err, quicrpc.ErrUnavailable) {
		t.Fatalf("after Close: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestFetchLimits(t *testing.T) {
	f := start(Limits{})
	k := f.caller(t, 1)
	for g := range 5 {
		f.put(t, queueOf(k.c, fmt.Sprint(g)), make([]byte, 200<<10))
	}
	if got, err := k.fetch(nil); err != nil || len(got) != 2 {
		t.Fatalf("%d payloads of 200 KiB, %v", len(got), err)
	}
	f.put(t, queueOf(k.c, ""), make([]byte, 600<<10), []byte{1})
	if got, err := k.fetch(nil); err != nil || len(got) != 1 || len(got[0]) != 600<<10 {
		t.Fatalf("%d payloads, %v; want the large one alone", len(got), err)
	}
	if s, more, err := k.after("", 0, 0, 0); err != nil || len(s) != 1 || !more {
		t.Fatalf("%v, %v, %v", s, more, err)
	}
	other := f.caller(t, 2)
	for g := range 3 {
		many := make([][]byte, 600)
		for i := range many {
			many[i] = []byte{1}
		}
		f.put(t, queueOf(other.c, fmt.Sprint(g)), many...)
	}
	if got, err := other.fetch(nil); err != nil || len(got) != 1024 {
		t.Fatalf("%d payloads, %v", len(got), err)
	}
	if s, more, err := other.after("0", 0, 10_000, 0); err != nil || len(s) != 256 || !more {
		t.Fatalf("%d envelopes, %v, %v", len(s), more, err)
	}
}

func TestQuota(t *testing.T) {
	s := memory.New(memory.Options{Quota: store.Quota{Messages: 1}})
	f := &fixture{New(Config{Store: s}), s}
	k := f.caller(t, 1)
	if err := k.enqueue(key(2), []byte("p")); err != nil {
		t.Fatal(err)
	}
	if err := k.enqueue(key(2), []byte("p")); !errors.Is(err, quicrpc.ErrQuotaExceeded) {
		t.Fatalf("enqueue: %v", err)
	}
	r, err := k.submit(submission{id16(1), nil, []byte("p"), [][]byte{key(2), key(3)}})
	if err != nil || fmt.Sprint(r) != "[[{3 0} {1 1}]]" {
		t.Fatalf("%v, %v", r, err)
	}
}

// TestPipelinedOrder sends hundreds of calls without waiting: they are stored in the order in which they were sent, in far fewer rounds.
func TestPipelinedOrder(t *testing.T) {
	f := start(Limits{})
	slow := &slowStore{Store: f.store, gate: make(chan struct{})}
	f.Service.store = slow
	k := f.caller(t, 1)
	const calls = 300
	var futures []schemas.DeliveryService_enqueueMany_Results_Future
	for n := range calls {
		fut, release := k.send([]submission{{id16(n), []byte("g"), fmt.Appendf(nil, "%d", n), [][]byte{key(2), key(3)}}})
		defer release()
		futures = append(futures, fut)
	}
	for f.Calls()["enqueueMany"] < calls {
		runtime.Gosched() // they gather behind the first
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case slow.gate <- struct{}{}:
			case <-done:
				return
			}
		}
	}()
	for n, fut := range futures {
		r, err := answers(fut)
		if err != nil || fmt.Sprint(r) != fmt.Sprintf("[[{1 %d} {1 %d}]]", n+1, n+1) {
			t.Fatalf("call %d: %v, %v", n, r, err)
		}
	}
	if slow.rounds > calls/4 {
		t.Fatalf("%d rounds for %d calls", slow.rounds, calls)
	}
	t.Logf("%d rounds for %d calls", slow.rounds, calls)
}

// slowStore lets one Enqueue through at a time, when told.
type slowStore struct {
	store.Store
	gate   chan struct{}
	mu     sync.Mutex
	rounds int
}

func (s *slowStore) Enqueue(ctx context.Context, m []store.Message) ([]store.Result, error) {
	<-s.gate
	s.mu.Lock()
	s.rounds++
	s.mu.Unlock()
	return s.Store.Enqueue(ctx, m)
}

// TestEarlyData: calls with an effect wait for the handshake, those without do not.
func TestEarlyData(t *testing.T) {
	f := start(Limits{})
	for name, effect := range map[string]func(*caller) error{
		"enqueue": func(k *caller) error { return k.enqueue(key(9), []byte("p")) },
		"enqueueMany": func(k *caller) error {
			return second(k.submit(submission{id16(1), nil, []byte("p"), [][]byte{key(9)}}))
		},
		"acknowledge": func(k *caller) error { return k.acknowledge() },
		"listen":      func(k *caller) error { return second(f.tryListen(k.c, 0, 0)) },
	} {
		k := f.caller(t, 1)
		k.c.early = make(chan struct{})
		if _, err := k.fetch(nil); err != nil {
			t.Fatalf("%s: fetch: %v", name, err)
		}
		if _, _, err := k.queues("", 0); err != nil {
			t.Fatalf("%s: queues: %v", name, err)
		}
		if _, _, err := k.after("", 0, 0, 0); err != nil {
			t.Fatalf("%s: fetchAfter: %v", name, err)
		}
		done := make(chan error, 1)
		before := f.store.Stats()
		go func() { done <- effect(k) }()
		other := f.caller(t, 3)
		if _, err := other.fetch(nil); err != nil { // something else happens meanwhile
			t.Fatal(err)
		}
		select {
		case err := <-done:
			t.Fatalf("%s did not wait: %v", name, err)
		default:
		}
		if after := f.store.Stats(); after != before {
			t.Fatalf("%s: %+v became %+v", name, before, after)
		}
		close(k.c.early)
		if err := <-done; err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

// TestStoreErrors: what the store says reaches the caller as a code, without its text.
func TestStoreErrors(t *testing.T) {
	f := start(Limits{})
	broken := &brokenStore{Store: f.store}
	f.Service.store = broken
	k := f.caller(t, 1)
	for err, want := range map[error]error{
		store.ErrFull: quicrpc.ErrUnavailable, store.ErrFailed: quicrpc.ErrUnavailable, store.ErrClosed: quicrpc.ErrUnavailable,
		store.ErrCorrupt: quicrpc.ErrInternal, context.DeadlineExceeded: quicrpc.ErrUnavailable,
	} {
		broken.err = fmt.Errorf("/secret/path: %w", err)
		for name, got := range map[string]error{
			"enqueue": k.enqueue(key(2), []byte("p")),
			"submit":  second(k.submit(submission{id16(1), nil, []byte("p"), [][]byte{key(2)}})),
			"fetch":   second(k.fetch(nil)),
			"ack":     k.acknowledge(store.Cursor{}),
			"listen":  second(f.tryListen(k.c, 0, 0)),
		} {
			if !errors.Is(got, want) || strings.Contains(got.Error(), "secret") {
				t.Errorf("%v: %s: %v", err, name, got)
			}
		}
	}
}

type brokenStore struct {
	store.Store
	err error
}

func (s *brokenStore) Enqueue(context.Context, []store.Message) ([]store.Result, error) {
	return nil, s.err
}

func (s *brokenStore) Queues(context.Context, store.QueueID, int) ([]store.QueueStatus, bool, error) {
	return nil, false, s.err
}

func (s *brokenStore) Acknowledge(context.Context, []store.Cursor) error { return s.err }

func (s *brokenStore) Watch(store.Identity) (store.Watcher, error) { return nil, s.err }
