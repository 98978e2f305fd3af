package as

import (
	"container/list"
	"time"
)

// Rate allows Max events in any span of Per. A zero Rate is the default, a negative Max no limit.
type Rate struct {
	Max int
	Per time.Duration
}

func (r Rate) or(def Rate) Rate {
	if r == (Rate{}) {
		return def
	}
	return r
}

// Below exactMarks events of a window each has a mark of its own; above, those within one part of fineMarks of the window share one, so that a window
// takes the same room whatever its Rate is. What shares a mark leaves the window with its latest: never are more events allowed than the Rate says.
const (
	exactMarks = 8
	fineMarks  = 32
)

// window counts the events of the last Rate.Per.
type window struct {
	marks []mark // oldest first
}

type mark struct {
	first, last time.Time
	n           int
}

// count is how many events are in the window that ends now. What has left it is forgotten.
func (w *window) count(r Rate, now time.Time) (n int) {
	gone := 0
	for i := range w.marks {
		if !now.Before(w.marks[i].last.Add(r.Per)) {
			gone = i + 1
			continue
		}
		n += w.marks[i].n
	}
	w.marks = append(w.marks[:0], w.marks[gone:]...)
	return n
}

func (w *window) add(r Rate, now time.Time) {
	if n := len(w.marks); n >= exactMarks {
		if m := &w.marks[n-1]; now.Sub(m.first) < r.Per/fineMarks {
			m.last, m.n = now, m.n+1
			return
		}
	}
	w.marks = append(w.marks, mark{now, now, 1})
}

// windows are one for each key, at most size; beyond that the one unused for longest is forgotten.
type windows[K comparable] struct {
	rate  Rate
	size  int
	found map[K]*list.Element
	order *list.List // of *entry[K]; front: most recent
}

type entry[K comparable] struct {
	key K
	window
}

func newWindows[K comparable](r Rate, size int) *windows[K] {
	return &windows[K]{rate: r, size: max(size, 1), found: make(map[K]*list.Element), order: list.New()}
}

// has says whether one more event of key is allowed now.
func (w *windows[K]) has(key K, now time.Time) bool {
	if w.rate.Max < 0 {
		return true
	}
	el, ok := w.found[key]
	return !ok && w.rate.Max > 0 || ok && el.Value.(*entry[K]).count(w.rate, now) < w.rate.Max
}

// take counts an event of key.
func (w *windows[K]) take(key K, now time.Time) {
	if w.rate.Max < 0 {
		return
	}
	el, ok := w.found[key]
	if ok {
		w.order.MoveToFront(el)
	} else {
		for w.order.Len() >= w.size {
			last := w.order.Back()
			w.order.Remove(last)
			delete(w.found, last.Value.(*entry[K]).key)
		}
		el = w.order.PushFront(&entry[K]{key: key})
		w.found[key] = el
	}
	el.Value.(*entry[K]).add(w.rate, now)
}
