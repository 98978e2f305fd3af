package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"quicnprotochat/store"
)

// handed is a call that was handed to a line.
type handed struct {
	t       *testing.T
	results []store.Result
	err     error
	ended   chan struct{}
	once    sync.Mutex
	calls   int
}

func newHanded(t *testing.T) *handed { return &handed{t: t, ended: make(chan struct{})} }

func (h *handed) done(results []store.Result, err error) {
	h.once.Lock()
	defer h.once.Unlock()
	if h.calls++; h.calls > 1 {
		h.t.Errorf("told %d times: now %v, %v", h.calls, results, err)
		return
	}
	h.results, h.err = results, err
	close(h.ended)
}

// wait returns what became of the call.
func (h *handed) wait() ([]store.Result, error) {
	h.t.Helper()
	select {
	case <-h.ended:
	case <-time.After(time.Minute):
		h.t.Fatal("never told")
	}
	return h.results, h.err
}

func handEnqueue(t *testing.T, l store.Line, messages ...store.Message) *handed {
	h := newHanded(t)
	l.Enqueue(messages, h.done)
	return h
}

func handAppend(t *testing.T, l store.Line, posts ...store.Post) *handed {
	h := newHanded(t)
	l.Append(posts, h.done)
	return h
}

// testLineOrder has lines store beside each other in one queue and one log, none of which waits: what each handed over has ascending places, and all of it is there.
func testLineOrder(t *testing.T, e *engine) {
	e.start(store.Quota{})
	e.create("g", 0)
	const lines, calls = 4, 150
	var wg sync.WaitGroup
	for n := range lines {
		wg.Go(func() {
			l := e.NewLine()
			var all []*handed
			for i := range calls {
				at := 3 * (n*calls + i)
				all = append(all, handEnqueue(t, l, message(inbox(1), at), message(inbox(1), at+1)), handAppend(t, l, post("g", 0, at+2)))
			}
			var lastMessage, lastPost uint64
			for i, h := range all {
				last := &lastPost
				if i%2 == 0 {
					last = &lastMessage
				}
				results, err := h.wait()
				if err != nil || len(results) != 2-i%2 {
					t.Errorf("call %d: %v, %v", i, results, err)
				}
				for _, r := range results {
					if r.Status != store.Stored || r.Seq <= *last {
						t.Errorf("call %d: %+v after %d", i, r, *last)
					}
					*last = r.Seq
				}
			}
		})
	}
	wg.Wait()
	for what, q := range map[string]store.QueueID{"queue": inbox(1), "log": shared(0, "g")} {
		next := map[int]int{} // by line
		p := e.read(q, 0)
		if want := map[string]int{"queue": 2, "log": 1}[what] * lines * calls; len(p.Messages) != want {
			t.Errorf("the %s has %d messages, want %d", what, len(p.Messages), want)
		}
		for i, m := range p.Messages {
			line := number(m) / (3 * calls)
			if m.Seq != uint64(i)+1 || number(m) < next[line] {
				t.Fatalf("the %s: number %d at %d, after number %d", what, number(m), m.Seq, next[line])
			}
			next[line] = number(m) + 1
		}
	}
}

// testLineResults: a line says the same of each message as the calls that wait, whatever happens to it, and leaves the same behind.
func testLineResults(t *testing.T, e *engine) {
	e.start(store.Quota{Messages: 40, Bytes: 400})
	r := rand.New(rand.NewPCG(1, 2))
	e.create("wait", 0)
	e.create("line", 0)
	l := e.NewLine()
	var all []*handed
	var want [][]store.Result
	for range 60 {
		posts := [2][]store.Post{}
		messages := [2][]store.Message{}
		for range 1 + r.IntN(4) {
			n, size, who := r.IntN(120), 1+r.IntN(30), r.IntN(4)/3 // the stranger is 1
			stale, blob, none := r.IntN(6) == 0, r.IntN(9) == 0, r.IntN(9) == 0
			for i, name := range []string{"wait", "line"} {
				m := message(store.QueueID{Owner: owner(5), Group: name}, n)
				m.Payload = append(m.Payload, make([]byte, size)...)
				p := post(name, who, n)
				p.Payload, p.Current, p.Epoch = m.Payload, stale, 2
				if blob {
					m.Blobs = []store.BlobID{{1}}
					p.Blobs = m.Blobs
				}
				if none {
					p.Group = "none"
				}
				messages[i], posts[i] = append(messages[i], m), append(posts[i], p)
			}
		}
		results, err := e.Enqueue(t.Context(), messages[0])
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, results)
		if results, err = e.Append(t.Context(), posts[0]); err != nil {
			t.Fatal(err)
		}
		want = append(want, results)
		all = append(all, handEnqueue(t, l, messages[1]...), handAppend(t, l, posts[1]...))
	}
	seen := map[store.Status]bool{}
	for i, h := range all {
		got, err := h.wait()
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want[i]) {
			t.Errorf("call %d: %v, %v, want %v", i, got, err, want[i])
		}
		for _, r := range got {
			seen[r.Status] = true
		}
	}
	if len(seen) != 7 {
		t.Errorf("only the results %v were seen", seen)
	}
	for _, q := range []func(string) store.QueueID{
		func(name string) store.QueueID { return store.QueueID{Owner: owner(5), Group: name} },
		func(name string) store.QueueID { return shared(0, name) },
	} {
		if a, b := fmt.Sprint(e.read(q("wait"), 0).Messages), fmt.Sprint(e.read(q("line"), 0).Messages); a != b {
			t.Errorf("a line left\n%s, waiting calls\n%s", b, a)
		}
	}
}

// testLineLarge: a call of many megabytes keeps its place before what is handed over after it.
func testLineLarge(t *testing.T, e *engine) {
	e.start(store.Quota{})
	e.create("g", 0)
	l := e.NewLine()
	const large = 12
	messages, posts := make([]store.Message, large), make([]store.Post, large)
	for i := range large {
		messages[i], posts[i] = message(inbox(1), i), post("g", 0, i)
		messages[i].Payload = append(messages[i].Payload, make([]byte, store.MaxPayload-8)...)
		posts[i].Payload = messages[i].Payload
	}
	all := []*handed{
		handEnqueue(t, l, messages...), handAppend(t, l, posts...), handEnqueue(t, l, message(inbox(1), large), message(inbox(1), 0)), handAppend(t, l, post("g", 0, large)),
	}
	for i, want := range []int{large, large, 2, 1} {
		results, err := all[i].wait()
		if err != nil || len(results) != want {
			t.Fatalf("call %d: %d results, %v", i, len(results), err)
		}
		for j, r := range results {
			seq := uint64(j) + 1
			if i > 1 {
				seq += large
			}
			if i == 2 && j == 1 {
				if r != (store.Result{Status: store.Duplicate, Seq: 1}) {
					t.Errorf("repeated: %+v", r)
				}
			} else if r != (store.Result{Status: store.Stored, Seq: seq}) {
				t.Errorf("call %d: %+v, want it at %d", i, r, seq)
			}
		}
	}
	for _, q := range []store.QueueID{inbox(1), shared(0, "g")} {
		p := e.read(q, 0)
		if len(p.Messages) != large+1 {
			t.Fatalf("%d messages, want %d", len(p.Messages), large+1)
		}
		for i, m := range p.Messages {
			if number(m) != i {
				t.Errorf("number %d in place of %d", number(m), i)
			}
		}
	}
}

// testLineErrors: a call that cannot be done fails as a whole, as one that waits does, and those before and after it are not touched.
func testLineErrors(t *testing.T, e *engine) {
	e.start(store.Quota{})
	e.create("g", 0)
	l := e.NewLine()
	long := message(store.QueueID{Owner: owner(1), Group: strings.Repeat("g", store.MaxGroup+1)}, 9)
	large, empty := message(inbox(1), 9), message(inbox(1), 9)
	large.Payload, empty.Payload = make([]byte, store.MaxPayload+1), nil
	largePost, emptyPost, noGroup := post("g", 0, 9), post("g", 0, 9), post("", 0, 9)
	largePost.Payload, emptyPost.Payload = large.Payload, nil
	first := handEnqueue(t, l, message(inbox(1), 1))
	for name, c := range map[string]struct {
		h    *handed
		want error
	}{
		"large":      {handEnqueue(t, l, message(inbox(1), 8), large), store.ErrTooLarge},
		"empty":      {handEnqueue(t, l, message(inbox(1), 8), empty), store.ErrInvalid},
		"long group": {handEnqueue(t, l, message(inbox(1), 8), long), store.ErrInvalid},
		"large post": {handAppend(t, l, post("g", 0, 8), largePost), store.ErrTooLarge},
		"empty post": {handAppend(t, l, post("g", 0, 8), emptyPost), store.ErrInvalid},
		"no group":   {handAppend(t, l, post("g", 0, 8), noGroup), store.ErrInvalid},
	} {
		if results, err := c.h.wait(); !errors.Is(err, c.want) || results != nil {
			t.Errorf("%s: %v, %v, want %v", name, results, err, c.want)
		}
	}
	second, third := handEnqueue(t, l, message(inbox(1), 2)), handAppend(t, l, post("g", 0, 1))
	for i, h := range []*handed{first, second, third} {
		if results, err := h.wait(); err != nil || results[0] != (store.Result{Status: store.Stored, Seq: uint64(1 + i%2)}) {
			t.Errorf("good call %d: %v, %v", i, results, err)
		}
	}
	e.expect(inbox(1), 1, 1, 2)
	e.expect(shared(0, "g"), 1, 1)
}

// testLineClose: Close waits until all that was handed over was told of; what comes later is refused.
func testLineClose(t *testing.T, e *engine) {
	e.start(store.Quota{})
	e.create("g", 0)
	l := e.NewLine()
	const calls = 20
	var told sync.WaitGroup
	ended := 0
	done := func(r []store.Result, err error) {
		defer told.Done()
		time.Sleep(time.Millisecond) // it may take its time
		if err != nil || r[0].Status != store.Stored {
			t.Errorf("%v, %v", r, err)
		}
		ended++
	}
	told.Add(2 * calls)
	for n := range calls {
		l.Enqueue([]store.Message{message(inbox(1), n)}, done)
		l.Append([]store.Post{post("g", 0, n)}, done)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if ended != 2*calls {
		t.Errorf("Close returned when %d of %d calls had been told of", ended, 2*calls)
	}
	told.Wait()
	for name, h := range map[string]*handed{"enqueue": handEnqueue(t, l, message(inbox(1), 99)), "append": handAppend(t, l, post("g", 0, 99)), "another line": handEnqueue(t, e.NewLine(), message(inbox(1), 99))} {
		if results, err := h.wait(); !errors.Is(err, store.ErrClosed) || results != nil {
			t.Errorf("%s after Close: %v, %v", name, results, err)
		}
	}
}
