package load

import (
	"crypto/tls"
	"sync"
)

// tickets keeps the last session ticket of a client, and tells when one comes: a server sends it when it has found the handshake complete.
type tickets struct {
	use  bool
	came chan struct{}

	mu   sync.Mutex
	last *tls.ClientSessionState
}

func newTickets(use bool) *tickets { return &tickets{use: use, came: make(chan struct{}, 1)} }

// Get implements tls.ClientSessionCache: for one server.
func (t *tickets) Get(string) (*tls.ClientSessionState, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last, t.use && t.last != nil
}

// Put implements tls.ClientSessionCache.
func (t *tickets) Put(_ string, s *tls.ClientSessionState) {
	if s == nil {
		return
	}
	t.mu.Lock()
	t.last = s
	t.mu.Unlock()
	select {
	case t.came <- struct{}{}:
	default:
	}
}
