package ds

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
	"quicnprotochat/store"
	"quicnprotochat/store/memory"
)

// caller is a connection's capability, with calls that are easy to write down.
type caller struct {
	t  testing.TB
	c  *conn
	ds schemas.DeliveryService
}

func (f *fixture) caller(t testing.TB, peer byte) *caller {
	c := newConn(peer)
	k := &caller{t, c, f.client(c)}
	t.Cleanup(func() { k.ds.Release(); f.end(c) })
	return k
}

func (k *caller) enqueue(to, payload []byte) error {
	f, release := k.ds.Enqueue(context.Background(), func(p schemas.DeliveryService_enqueue_Params) error {
		return errors.Join(p.SetRecipientKey(to), p.SetPayload(payload))
	})
	defer release()
	_, err := f.Struct()
	return quicrpc.FromRPC(err)
}

func (k *caller) fetch(key []byte) (payloads [][]byte, err error) {
	f, release := k.ds.Fetch(context.Background(), func(p schemas.DeliveryService_fetch_Params) error { return p.SetRecipientKey(key) })
	defer release()
	r, err := f.Struct()
	if err != nil {
		return nil, quicrpc.FromRPC(err)
	}
	list, err := r.Payloads()
	for i := range list.Len() {
		b, e := list.At(i)
		err = errors.Join(err, e)
		payloads = append(payloads, bytes.Clone(b))
	}
	return payloads, err
}

type submission struct {
	id, group, payload []byte
	to                 [][]byte
}

func (k *caller) submit(submissions ...submission) (results [][]store.Result, err error) {
	f, release := k.send(submissions)
	defer release()
	return answers(f)
}

// send only sends, so that several calls are under way at once.
func (k *caller) send(submissions []submission) (schemas.DeliveryService_enqueueMany_Results_Future, func()) {
	f, release := k.ds.EnqueueMany(context.Background(), func(p schemas.DeliveryService_enqueueMany_Params) error {
		list, err := p.NewSubmissions(int32(len(submissions)))
		for i, s := range submissions {
			e := list.At(i)
			to, terr := e.NewRecipients(int32(len(s.to)))
			err = errors.Join(err, terr, e.SetId(s.id), e.SetGroupId(s.group), e.SetPayload(s.payload))
			for j := range s.to {
				err = errors.Join(err, to.Set(j, s.to[j]))
			}
		}
		return err
	})
	return f, release
}

func answers(f schemas.DeliveryService_enqueueMany_Results_Future) (results [][]store.Result, err error) {
	r, err := f.Struct()
	if err != nil {
		return nil, quicrpc.FromRPC(err)
	}
	list, err := r.Results()
	for i := range list.Len() {
		recipients, e := list.At(i).Recipients()
		err = errors.Join(err, e)
		row := make([]store.Result, recipients.Len())
		for j := range row {
			row[j] = store.Result{Status: store.Status(recipients.At(j).Status()), Seq: recipients.At(j).Seq()}
		}
		results = append(results, row)
	}
	return results, err
}

func (k *caller) acknowledge(cursors ...store.Cursor) error {
	f, release := k.ds.Acknowledge(context.Background(), func(p schemas.DeliveryService_acknowledge_Params) error {
		list, err := p.NewCursors(int32(len(cursors)))
		for i := range cursors {
			list.At(i).SetSeq(cursors[i].Seq)
			err = errors.Join(err, list.At(i).SetGroupId([]byte(cursors[i].Queue.Group)))
		}
		return err
	})
	defer release()
	_, err := f.Struct()
	return quicrpc.FromRPC(err)
}

func (k *caller) after(group string, seq uint64, messages, bytes uint32) (seqs []uint64, more bool, err error) {
	f, release := k.ds.FetchAfter(context.Background(), func(p schemas.DeliveryService_fetchAfter_Params) error {
		p.SetMaxMessages(messages)
		p.SetMaxBytes(bytes)
		c, err := p.NewCursor()
		if err != nil {
			return err
		}
		c.SetSeq(seq)
		return c.SetGroupId([]byte(group))
	})
	defer release()
	r, err := f.Struct()
	if err != nil {
		return nil, false, quicrpc.FromRPC(err)
	}
	list, err := r.Envelopes()
	for i := range list.Len() {
		seqs = append(seqs, list.At(i).Seq())
	}
	return seqs, r.More(), err
}

func (k *caller) queues(after string, max uint32) (groups []string, more bool, err error) {
	f, release := k.ds.Queues(context.Background(), func(p schemas.DeliveryService_queues_Params) error {
		p.SetMax(max)
		return p.SetAfterGroupId([]byte(after))
	})
	defer release()
	r, err := f.Struct()
	if err != nil {
		return nil, false, quicrpc.FromRPC(err)
	}
	list, err := r.Queues()
	for i := range list.Len() {
		g, e := list.At(i).GroupId()
		err = errors.Join(err, e)
		groups = append(groups, fmt.Sprintf("%s:%d-%d/%d/%d", g, list.At(i).Acknowledged(), list.At(i).Last(), list.At(i).Messages(), list.At(i).Bytes()))
	}
	return groups, r.More(), err
}

func id16(n int) []byte { return append(make([]byte, 14), byte(n>>8), byte(n)) }

func key(n byte) []byte { k := quicrpc.Peer{n}; return k[:] }

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
	if got := f.Calls(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("calls %v, want %v", got, want)
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

func (s *brokenStore) Queues(context.Context, store.Identity, string, int) ([]store.QueueStatus, bool, error) {
	return nil, false, s.err
}

func (s *brokenStore) Acknowledge(context.Context, []store.Cursor) error { return s.err }

func (s *brokenStore) Watch(store.Identity) (store.Watcher, error) { return nil, s.err }
