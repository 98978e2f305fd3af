package quicrpc

import "sync"

// A counter is a sync.WaitGroup that may rise from zero while somebody waits. The zero value is ready.
type counter struct {
	mu   sync.Mutex
	n    int
	zero chan struct{} // closed and dropped when n falls to zero; nil if nobody waits
}

func (c *counter) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n += n; c.n == 0 && c.zero != nil {
		close(c.zero)
		c.zero = nil
	}
}

// atZero returns a channel that is closed when the counter is at zero, or was after this call.
func (c *counter) atZero() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.zero == nil {
		zero := make(chan struct{})
		if c.n == 0 {
			close(zero)
			return zero
		}
		c.zero = zero
	}
	return c.zero
}

// run runs f in a goroutine that counts.
func (c *counter) run(f func()) {
	c.add(1)
	go func() {
		defer c.add(-1)
		f()
	}()
}
