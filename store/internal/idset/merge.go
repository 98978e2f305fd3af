package idset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"slices"

	"quicnprotochat/store"
)

const (
	// fanIn is how many runs of one level and bucket become one of the next level, up to maxLevel. More would make Find look at more runs, fewer write each id
	// more often.
	fanIn    = 12
	maxLevel = 3
)

var errStopped = errors.New("stopped")

// Merge merges some runs into one, if there are enough of them, and says whether it did: call it again then. current is the bucket that is added to. It ends early, with nothing
// done, when stop is closed, and does nothing while the disk has too little room.
func (s *Set) Merge(current uint32, stop <-chan struct{}) (bool, error) {
	s.work.Lock()
	defer s.work.Unlock()
	h, inputs := s.pick(current)
	if len(inputs) == 0 || !s.fits(h) {
		return false, nil
	}
	m := merging{s: s, stop: stop}
	defer m.end()
	r, err := makeRun(s.o.FS, s.o.Dir, h, stop, func(add func([]byte, uint64) error) error {
		return m.run(inputs, add)
	})
	if errors.Is(err, errStopped) {
		return false, nil
	}
	if err != nil {
		return false, s.full(err)
	}
	if r != nil {
		s.merged.Add(uint64(r.count))
	}
	s.mu.Lock()
	if r != nil {
		r.known = !slices.ContainsFunc(inputs, func(o *run) bool { return !o.known })
	}
	s.swap(r, inputs...)
	s.mu.Unlock()
	return true, s.remove(inputs)
}

// fits says whether the disk has room for a run of as many entries.
func (s *Set) fits(h head) bool {
	h.blocks = blocks(h.count)
	usage, err := s.o.FS.GetDiskUsage(s.o.Dir)
	return err != nil || usage.AvailBytes >= uint64(h.size())+s.o.Spare // without an answer, it is tried
}

// pick chooses what to merge. In the current bucket these are the oldest runs of a level that has enough; the others get no more runs, so all that they have
// becomes one.
func (s *Set) pick(current uint32) (h head, inputs []*run) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	type kind struct{ bucket, level uint32 }
	found := make(map[kind][]*run)
	for _, r := range slices.Backward(s.runs) {
		k := kind{r.bucket, r.level}
		enough := fanIn
		if r.bucket != current {
			k.level, enough = maxLevel, 2
		} else if r.level == maxLevel {
			continue
		}
		found[k] = append(found[k], r)
		if enough == fanIn && len(found[k]) == fanIn {
			return over(found[k], k.level+1)
		}
	}
	for k, runs := range found {
		if k.bucket != current && len(runs) > 1 {
			return over(runs, maxLevel)
		}
	}
	return h, nil
}

// over is what a run of all those begins with.
func over(runs []*run, level uint32) (head, []*run) {
	h := head{bucket: runs[0].bucket, level: level, first: runs[0].first}
	for _, r := range runs {
		h.first, h.last = min(h.first, r.first), max(h.last, r.last)
		h.count += r.count
	}
	return h, runs
}

// merging is one Merge. It reads runs from their beginning to their end.
type merging struct {
	s       *Set
	stop    <-chan struct{}
	cursors []*cursor
}

// cursor is the place in one run.
type cursor struct {
	r    *run
	page int64 // next one
	p    *[pageSize]byte
	rest []byte // of the page: whole entries
	key  uint64 // the first bytes of rest: to compare these is enough, but once in a great while
}

// advance goes on to what is left of the page.
func (c *cursor) advance(rest []byte) {
	if c.rest = rest; len(rest) > 0 {
		c.key = binary.BigEndian.Uint64(rest)
	}
}

func (c *cursor) before(o *cursor) bool {
	return c.key < o.key || c.key == o.key && bytes.Compare(c.rest[:idSize], o.rest[:idSize]) < 0
}

// run goes through all entries of inputs, oldest first, in order of the ids. Of an id that is in more than one, it takes the newest number: that of the last.
func (m *merging) run(inputs []*run, add func([]byte, uint64) error) error {
	for _, r := range inputs {
		c := &cursor{r: r, p: pagePool.Get().(*[pageSize]byte)}
		m.cursors = append(m.cursors, c)
		if err := m.turn(c); err != nil {
			return err
		}
	}
	var last [idSize]byte // that was added
	for none := true; ; {
		var least *cursor
		for _, c := range m.cursors {
			if len(c.rest) > 0 && (least == nil || !least.before(c)) {
				least = c
			}
		}
		if least == nil {
			return nil
		}
		if id := least.rest[:idSize]; none || !bytes.Equal(last[:], id) {
			none = false
			copy(last[:], id)
			if err := add(id, seqOf(least.rest)); err != nil {
				return err
			}
		}
		if least.advance(least.rest[entrySize:]); len(least.rest) == 0 {
			if err := m.turn(least); err != nil {
				return err
			}
		}
	}
}

// turn reads the next page of c that can be read. The entries of one that cannot are lost. It lets others have the processor, who have no time: there are many pages.
func (m *merging) turn(c *cursor) error {
	runtime.Gosched()
	for ; len(c.rest) == 0 && c.page < pagesOf(c.r.count, pageEntries); c.page++ {
		select {
		case <-m.stop:
			return errStopped
		default:
		}
		err := c.r.read(c.p, c.r.entries()+c.page)
		if errors.Is(err, store.ErrCorrupt) {
			m.s.damaged(err)
			continue
		} else if err != nil {
			return err
		}
		c.advance(c.p[:min(pageEntries, c.r.count-c.page*pageEntries)*entrySize])
	}
	return nil
}

func (m *merging) end() {
	for _, c := range m.cursors {
		pagePool.Put(c.p)
	}
}
