package as

import (
	"sync"
	"time"

	"quicnprotochat/quicrpc"
	"quicnprotochat/store"
)

// claims limits how fast KeyPackages are claimed (R §16.8, requirement 15): by one requester of one target, by one requester, and of one target. Each of the
// three remembers as many as Limits.Claimants, so that many pairs do not make it forget a requester. It lives in memory alone: a restart begins anew, which gives
// a requester one more window and not more. Safe for concurrent use.
type claims struct {
	mu         sync.Mutex
	pairs      *windows[claimPair]
	requesters *windows[quicrpc.Peer]
	targets    *windows[store.Identity]
}

type claimPair struct {
	requester quicrpc.Peer
	target    store.Identity
}

func newClaims(l Limits) *claims {
	return &claims{
		pairs:      newWindows[claimPair](l.ClaimPair, l.Claimants),
		requesters: newWindows[quicrpc.Peer](l.ClaimRequester, l.Claimants),
		targets:    newWindows[store.Identity](l.ClaimTarget, l.Claimants),
	}
}

// allow counts a claim against all three limits, or, if one is reached, against none.
func (c *claims) allow(requester quicrpc.Peer, target store.Identity, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	pair := claimPair{requester, target}
	if !c.pairs.has(pair, now) || !c.requesters.has(requester, now) || !c.targets.has(target, now) {
		return false
	}
	c.pairs.take(pair, now)
	c.requesters.take(requester, now)
	c.targets.take(target, now)
	return true
}
