// Package parallel spreads independent computations over the processors.
package parallel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Do calls f for 0 to n-1, on all processors, and returns the first error that
// came up; the rest may then not have been called. Few calls are made on the
// caller's goroutine. No goroutine outlives Do.
func Do(n int, f func(int) error) error {
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
