package ratchet

import (
	"runtime"
	"sync"
	"sync/atomic"

	"quicnprotochat/mls/internal/wire"
)

// parallel runs f for 0 to n-1 on all processors and returns the first error
// that came up. Few jobs run on the caller's goroutine.
func parallel(n int, f func(int) error) error {
	workers := min(runtime.GOMAXPROCS(0), n/2)
	if workers < 2 {
		for i := range n {
			if err := f(i); err != nil {
				return err
			}
		}
		return nil
	}
	var (
		next  atomic.Int64
		once  sync.Once
		first error
		wg    sync.WaitGroup
	)
	for range workers {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := f(i); err != nil {
					once.Do(func() { first = err })
					next.Store(int64(n))
					return
				}
			}
		})
	}
	wg.Wait()
	return first
}

// EachMember calls f for each member on all processors at once: f must be safe
// for that. It returns the first error that came up.
func (t *Tree) EachMember(f func(Leaf, *wire.LeafNode) error) error {
	members := make([]Leaf, 0, t.n)
	for l := Leaf(0); uint32(l) < t.n; l++ {
		if t.Leaf(l) != nil {
			members = append(members, l)
		}
	}
	return parallel(len(members), func(i int) error { return f(members[i], t.Leaf(members[i])) })
}
