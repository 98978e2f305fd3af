package as

import (
	"container/list"
	"sync"
	"time"

	"quicnprotochat/quicrpc"
	"quicnprotochat/store"
)

// claims limits how fast KeyPackages are claimed (RFC 9420 section 16.8): token buckets for pairs, requesters and targets, the least recently used
// of which are forgotten. Safe for concurrent use.
type claims struct {
	rates [3]Rate
	size  int

	mu      sync.Mutex
	buckets map[claimKey]*list.Element
	order   *list.List // of *bucket; front: most recent
}

// claimKey has a zero target for a requester's own bucket, a zero requester for a target's.
type claimKey struct {
	requester quicrpc.Peer
	target    store.Identity
	kind      uint8
}

type bucket struct {
	key  claimKey
	full time.Time // when it will be full again
}

func newClaims(l Limits) *claims {
	return &claims{
		rates:   [3]Rate{l.ClaimPair, l.ClaimRequester, l.ClaimTarget},
		size:    l.Claimants,
		buckets: make(map[claimKey]*list.Element),
		order:   list.New(),
	}
}

// allow takes a token out of all three buckets, or, if one is empty, out of none.
func (c *claims) allow(requester quicrpc.Peer, target store.Identity, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	keys := [3]claimKey{{requester: requester, target: target}, {requester: requester, kind: 1}, {target: target, kind: 2}}
	var found [3]*bucket
	for i, k := range keys {
		if c.rates[i].Burst < 0 {
			continue
		}
		found[i] = c.bucket(k, now)
		if !found[i].has(c.rates[i], now) {
			return false
		}
	}
	for i, b := range found {
		if b != nil {
			b.take(c.rates[i], now)
		}
	}
	return true
}

func (c *claims) bucket(k claimKey, now time.Time) *bucket {
	if el, ok := c.buckets[k]; ok {
		c.order.MoveToFront(el)
		return el.Value.(*bucket)
	}
	for c.order.Len() >= max(c.size, 3) {
		last := c.order.Back()
		c.order.Remove(last)
		delete(c.buckets, last.Value.(*bucket).key)
	}
	b := &bucket{key: k, full: now}
	c.buckets[k] = c.order.PushFront(b)
	return b
}

// has says whether a token is left: the time until the bucket is full is the number of tokens missing, times r.Every.
func (b *bucket) has(r Rate, now time.Time) bool {
	return b.full.Sub(now) <= time.Duration(r.Burst-1)*r.Every
}

func (b *bucket) take(r Rate, now time.Time) {
	if b.full.Before(now) {
		b.full = now
	}
	b.full = b.full.Add(r.Every)
}
