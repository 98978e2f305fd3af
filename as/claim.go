package as

import (
	"context"
	"errors"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
	"quicnprotochat/store"
)

// FetchKeyPackage takes one KeyPackage out of somebody's pool.
func (c *server) FetchKeyPackage(ctx context.Context, call schemas.AuthenticationService_fetchKeyPackage) error {
	key, err := call.Args().IdentityKey()
	target, err := c.claim(ctx, fetchKeyPackage, key, err)
	if err != nil {
		return err
	}
	k, err := c.s.store.TakeKeyPackage(ctx, target)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return c.s.failure(err)
	}
	var taken []store.KeyPackage
	if err == nil {
		taken = append(taken, k)
	}
	c.s.tellOwner(ctx, target, taken)
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	return results.SetPackage(k.Data)
}

// ClaimKeyPackages takes one KeyPackage a suite (requirement 14).
func (c *server) ClaimKeyPackages(ctx context.Context, call schemas.AuthenticationService_claimKeyPackages) error {
	list, err := call.Args().Suites()
	if err != nil {
		return malformed(err)
	}
	if list.Len() > store.MaxSuites {
		return quicrpc.Errorf(quicrpc.CodeInvalidArgument, "%d suites, want 1 to %d", list.Len(), store.MaxSuites)
	}
	suites := make([]uint16, list.Len())
	for i := range suites {
		suites[i] = list.At(i)
	}
	if err := store.CheckSuites(suites); err != nil {
		return quicrpc.Errorf(quicrpc.CodeInvalidArgument, "%v", err)
	}
	key, err := call.Args().IdentityKey()
	target, err := c.claim(ctx, claimKeyPackages, key, err)
	if err != nil {
		return err
	}
	taken, err := c.s.store.TakeKeyPackages(ctx, target, suites)
	if err != nil {
		return c.s.failure(err)
	}
	c.s.tellOwner(ctx, target, taken)
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	packages, err := results.NewPackages(int32(len(taken)))
	for i := 0; i < len(taken) && err == nil; i++ {
		err = packages.Set(i, taken[i].Data)
	}
	return err
}

// claim begins a call that takes from the pools of key, and counts it.
func (c *server) claim(ctx context.Context, m method, key []byte, err error) (target store.Identity, _ error) {
	if err := c.s.begin(m); err != nil {
		return target, err
	}
	if err := c.session.WaitHandshake(ctx); err != nil {
		return target, err
	}
	if err != nil {
		return target, malformed(err)
	}
	if len(key) != len(target) {
		return target, quicrpc.Errorf(quicrpc.CodeInvalidArgument, "identityKey of %d bytes, want 32", len(key))
	}
	target = store.Identity(key)
	if !c.s.claims.allow(c.peer, target, c.s.clock()) {
		return target, quicrpc.Errorf(quicrpc.CodeRateLimited, "too many KeyPackages claimed; try again later")
	}
	return target, nil
}

// tellOwner calls the hook of Config after a claim that took these packages: if a pool that it touched is below the mark, if the last resort was handed
// out, or if there was nothing at all (requirements 11 and 16).
func (s *Service) tellOwner(ctx context.Context, owner store.Identity, taken []store.KeyPackage) {
	if s.low == nil {
		return
	}
	// What was taken is gone, even if the caller is, too: the owner should hear of it.
	pools, err := s.store.CountSuites(context.WithoutCancel(ctx), owner)
	if err != nil {
		s.log.Warn("as: pools not counted after a claim", "err", err)
		return
	}
	fewest, lastResortUsed := int(s.limits.LowWater), false
	for i := range taken {
		lastResortUsed = lastResortUsed || taken[i].LastResort
		fewest = min(fewest, available(pools, taken[i].Suite()))
	}
	if len(taken) == 0 && len(pools) == 0 {
		fewest = 0
	}
	if fewest < int(s.limits.LowWater) || lastResortUsed {
		s.low(owner, fewest, lastResortUsed)
	}
}

// available counts the single-use packages of a suite.
func available(pools []store.SuiteStatus, suite uint16) int {
	for _, p := range pools {
		if p.Suite == suite {
			return p.Available
		}
	}
	return 0
}
