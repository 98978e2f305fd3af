package receipt

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Signer signs receipts, once for all who wait at a moment: those whose messages one group commit of the store made durable come together, and cost about one
// signature. Safe for concurrent use.
type Signer struct {
	key  ed25519.PrivateKey
	ctx  context.Context
	wake chan struct{} // holds one if somebody waits
	over chan struct{}

	mu      sync.Mutex
	waiting []*request

	signatures, leaves atomic.Uint64
}

// request is one caller's leaves. done is closed when the rest is set.
type request struct {
	leaves []Hash
	first  int // of leaves, in the tree
	round  *round
	done   chan struct{}
}

// round is a tree with its signature.
type round struct {
	tree      *tree
	head      Head
	signature []byte
}

// maxLeaves bounds a tree, and so the length of its proofs; a call with more has a tree to itself.
const maxLeaves = 1 << 16

// Stats are counters since NewSigner.
type Stats struct{ Signatures, Leaves uint64 }

// NewSigner returns a signer that works until ctx ends; Wait then waits for its goroutine.
func NewSigner(ctx context.Context, key ed25519.PrivateKey) *Signer {
	s := &Signer{key: key, ctx: ctx, wake: make(chan struct{}, 1), over: make(chan struct{})}
	go s.run()
	return s
}

// Key is the public key that verifies.
func (s *Signer) Key() [ed25519.PublicKeySize]byte {
	return [ed25519.PublicKeySize]byte(s.key.Public().(ed25519.PublicKey))
}

// Stats returns counters; it does not block.
func (s *Signer) Stats() Stats { return Stats{s.signatures.Load(), s.leaves.Load()} }

// Wait returns when the signer has ended, which it does when its context has.
func (s *Signer) Wait() { <-s.over }

// Sign returns a receipt for messages that are durable. Errors: ErrInvalid, ErrClosed, the context's.
func (s *Signer) Sign(ctx context.Context, leaves []Leaf) (*Receipt, error) {
	r := &request{leaves: make([]Hash, len(leaves)), done: make(chan struct{})}
	for i := range leaves {
		if !leaves[i].valid() {
			return nil, fmt.Errorf("%w: number %d", ErrInvalid, i)
		}
		r.leaves[i] = leaves[i].hash()
	}
	if len(leaves) == 0 {
		return nil, fmt.Errorf("%w: none", ErrInvalid)
	}
	s.mu.Lock()
	s.waiting = append(s.waiting, r)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	select {
	case <-r.done:
		return s.receipt(r), nil
	case <-s.over:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *Signer) receipt(r *request) *Receipt {
	out := &Receipt{Key: s.Key(), Head: r.round.head, Signature: [ed25519.SignatureSize]byte(r.round.signature), Leaves: make([]Proof, len(r.leaves))}
	for i := range out.Leaves {
		out.Leaves[i] = Proof{Index: uint64(r.first + i), Path: r.round.tree.path(r.first + i)}
	}
	return out
}

func (s *Signer) run() {
	defer close(s.over)
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.wake:
		}
		for s.ctx.Err() == nil {
			runtime.Gosched() // those whom one write woke with the first come first
			requests := s.take()
			if len(requests) == 0 {
				break
			}
			s.sign(requests)
		}
	}
}

// take returns those who wait, as many as fit into a tree.
func (s *Signer) take() []*request {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, leaves := 0, 0
	for n < len(s.waiting) && (n == 0 || leaves+len(s.waiting[n].leaves) <= maxLeaves) {
		leaves += len(s.waiting[n].leaves)
		n++
	}
	requests := s.waiting[:n:n]
	if s.waiting = s.waiting[n:]; len(s.waiting) == 0 {
		s.waiting = nil
	}
	return requests
}

// sign makes one round for all requests.
func (s *Signer) sign(requests []*request) {
	var all []Hash
	for _, r := range requests {
		r.first = len(all)
		all = append(all, r.leaves...)
	}
	t := newTree(all)
	done := &round{tree: t, head: Head{Time: time.Now().UnixMilli(), Size: uint64(len(all)), Root: t.root()}}
	done.signature = ed25519.Sign(s.key, done.head.signed())
	s.signatures.Add(1)
	s.leaves.Add(uint64(len(all)))
	for _, r := range requests {
		r.round = done
		close(r.done)
	}
}
