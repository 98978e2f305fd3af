package load

import (
	"fmt"
	"maps"
	"slices"
	"sync"
)

// A digest says which messages there were, and at which places, whatever the order in which one learned of them: how many, and the sum of their hashes.
type digest struct {
	Count uint64 `json:"count"`
	Sum   uint64 `json:"sum"`
	Last  uint64 `json:"last"` // highest place in the queue
}

func (d *digest) add(sender uint32, number, seq uint64) {
	d.Count++
	d.Sum += mix(mix(uint64(sender)<<40^number) ^ seq)
	d.Last = max(d.Last, seq)
}

func (d *digest) merge(e digest) {
	d.Count += e.Count
	d.Sum += e.Sum
	d.Last = max(d.Last, e.Last)
}

// mix is the finalizer of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// books holds what the service acknowledged as stored, by queue.
type books struct {
	mu     sync.Mutex
	queues map[string]*digest
}

func (b *books) stored(queue string, sender uint32, number, seq uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.queues == nil {
		b.queues = make(map[string]*digest)
	}
	d := b.queues[queue]
	if d == nil {
		d = new(digest)
		b.queues[queue] = d
	}
	d.add(sender, number, seq)
}

// clear forgets all that was stored.
func (b *books) clear() {
	b.mu.Lock()
	b.queues = nil
	b.mu.Unlock()
}

func (b *books) snapshot() map[string]digest {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make(map[string]digest, len(b.queues))
	for q, d := range b.queues {
		out[q] = *d
	}
	return out
}

// A tracker checks what one receiver gets of one queue. take is called by one goroutine at a time.
type tracker struct {
	queue  string // as in books
	who    int
	faults *faults
	// late is set for a receiver that was not there from the beginning: it must miss nothing between its first message and the last.
	late bool

	mu      sync.Mutex
	acked   uint64  // the last place that was acknowledged
	again   repeats // over a new connection
	from    uint64  // late: the place of what made it a receiver; 0: not known
	first   uint64  // the first place that came
	until   uint64  // late: the place of what ended that; 0: it still is one
	seq     uint64
	got     digest
	chain   uint64 // of all messages in order
	numbers map[uint32]uint64
}

func newTracker(queue string, who int, f *faults) *tracker {
	return &tracker{queue: queue, who: who, faults: f, numbers: make(map[uint32]uint64)}
}

// place checks a message's place in the queue, and reports whether it is new.
func (t *tracker) place(seq uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case seq <= t.seq:
		if !t.again.take(seq) {
			t.faults.add("doubled: %s, receiver %d: place %d after %d", t.queue, t.who, seq, t.seq)
		}
		return false
	case t.seq != 0 && seq != t.seq+1:
		t.faults.add("lost: %s, receiver %d: place %d after %d", t.queue, t.who, seq, t.seq)
	}
	if t.seq = seq; t.first == 0 {
		t.first = seq
	}
	t.again = repeats{}
	return true
}

// acknowledged notes up to where the service was told that it may forget.
func (t *tracker) acknowledged(upTo uint64) {
	t.mu.Lock()
	t.acked = max(t.acked, upTo)
	t.mu.Unlock()
}

// reconnected says that a new connection begins at the returned cursor: what was taken above it comes once more.
func (t *tracker) reconnected() (cursor uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.again = repeats{t.acked + 1, t.seq}
	return t.acked
}

// repeats are the places that may come once more: from next up to last, in order. The zero value is none.
type repeats struct{ next, last uint64 }

// take says whether a place may come once more, which is then used up with all before it.
func (r *repeats) take(seq uint64) bool {
	if seq < r.next || seq > r.last {
		return false
	}
	r.next = seq + 1
	return true
}

// open says at which place a late receiver became one: it gets all from the next on.
func (t *tracker) open(from uint64) {
	t.mu.Lock()
	t.from = from
	t.mu.Unlock()
}

// close says which place is the last that a late receiver gets.
func (t *tracker) close(until uint64) {
	t.mu.Lock()
	t.until = until
	t.mu.Unlock()
}

// last is the place up to which a late receiver must have come.
func (t *tracker) last(stored digest) uint64 {
	if t.until != 0 {
		return t.until
	}
	return stored.Last
}

// take counts a message at a place that is new, and checks its order among its sender's.
func (t *tracker) take(s stamp, seq uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if last := t.numbers[s.sender]; s.number <= last {
		t.faults.add("out of order: %s, receiver %d: message %d of sender %d after %d", t.queue, t.who, s.number, s.sender, last)
	}
	t.numbers[s.sender] = s.number
	t.got.add(s.sender, s.number, seq)
	t.chain = mix(t.chain ^ mix(uint64(s.sender)<<40^s.number))
}

// done reports whether all that was stored has arrived.
func (t *tracker) done(stored digest) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.late {
		return t.seq >= t.last(stored) || t.from >= t.last(stored)
	}
	return t.got.Count >= stored.Count
}

// end compares what arrived with what was stored.
func (t *tracker) end(stored digest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.late && t.seq < t.last(stored) && t.from < t.last(stored):
		t.faults.add("lost: %s, receiver %d, which came late: the last place is %d of %d", t.queue, t.who, t.seq, t.last(stored))
	case t.late && t.from != 0 && t.first != 0 && t.first != t.from+1:
		t.faults.add("lost: %s, receiver %d, which came with place %d: the first that it got is %d", t.queue, t.who, t.from, t.first)
	case !t.late && t.got.Count != stored.Count:
		t.faults.add("%s, receiver %d: %d messages came, %d were acknowledged as stored", t.queue, t.who, t.got.Count, stored.Count)
	case !t.late && t.got.Sum != stored.Sum:
		t.faults.add("%s, receiver %d: %d messages came, but others, or at other places, than were acknowledged as stored", t.queue, t.who, t.got.Count)
	}
}

// sameOrder checks that the receivers of a group saw the same order.
func sameOrder(trackers []*tracker, f *faults) {
	first := make(map[string]*tracker)
	for _, t := range trackers {
		if t.late {
			continue
		}
		if o := first[t.queue]; o == nil {
			first[t.queue] = t
		} else if o.chain != t.chain {
			f.add("out of order: %s: receivers %d and %d saw different orders", t.queue, o.who, t.who)
		}
	}
}

// faults gathers violations: all are counted, the first are told.
type faults struct {
	mu    sync.Mutex
	count int
	text  []string
}

const maxFaults = 20

func (f *faults) add(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	if len(f.text) < maxFaults {
		f.text = append(f.text, fmt.Sprintf(format, args...))
	}
}

func (f *faults) list() (int, []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count, slices.Clone(f.text)
}

// unwatched tells of queues that something was stored in, and that nobody looked at.
func (f *faults) unwatched(stored map[string]digest, by []*tracker) {
	watched := make(map[string]bool, len(by))
	for _, t := range by {
		watched[t.queue] = true
	}
	for _, q := range slices.Sorted(maps.Keys(stored)) {
		if d := stored[q]; d.Count > 0 && !watched[q] {
			f.add("lost: %s: %d messages were acknowledged as stored, and nobody was to read them", q, d.Count)
		}
	}
}

// mergeStored adds what several workers stored.
func mergeStored(parts []map[string]digest) map[string]digest {
	out := make(map[string]digest)
	for _, p := range parts {
		for q := range maps.Keys(p) {
			d := out[q]
			d.merge(p[q])
			out[q] = d
		}
	}
	return out
}
