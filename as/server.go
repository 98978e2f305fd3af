package as

import (
	"context"
	"errors"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
	"quicnprotochat/store"
)

// server is the service as one connection sees it. Its calls run one after the other, in the order in which they came.
type server struct {
	s       *Service
	session Session
	peer    quicrpc.Peer
}

var _ schemas.AuthenticationService_Server = (*server)(nil)

// UploadKeyPackage adds one KeyPackage to the caller's pool.
func (c *server) UploadKeyPackage(ctx context.Context, call schemas.AuthenticationService_uploadKeyPackage) error {
	if err := c.s.begin(uploadKeyPackage); err != nil {
		return err
	}
	if err := c.session.WaitHandshake(ctx); err != nil {
		return err
	}
	key, err := call.Args().IdentityKey()
	if err != nil {
		return malformed(err)
	}
	if len(key) != 0 && len(key) != len(c.peer) {
		return quicrpc.Errorf(quicrpc.CodeInvalidArgument, "identityKey of %d bytes, want 32 or none", len(key))
	}
	if len(key) != 0 && quicrpc.Peer(key) != c.peer {
		return quicrpc.Errorf(quicrpc.CodeNotAuthorized, "identityKey is not the caller's")
	}
	raw, err := call.Args().Package()
	if err != nil {
		return malformed(err)
	}
	k, err := c.s.validate(&c.peer, raw)
	if err != nil {
		return err
	}
	if err := c.s.store.PutKeyPackages(ctx, c.peer, []store.KeyPackage{k}); err != nil {
		return c.s.failure(err)
	}
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	return results.SetFingerprint(k.Fingerprint[:])
}

// UploadKeyPackages adds several KeyPackages to the caller's pool, all or none.
func (c *server) UploadKeyPackages(ctx context.Context, call schemas.AuthenticationService_uploadKeyPackages) error {
	if err := c.s.begin(uploadKeyPackages); err != nil {
		return err
	}
	if err := c.session.WaitHandshake(ctx); err != nil {
		return err
	}
	list, err := call.Args().Packages()
	if err != nil {
		return malformed(err)
	}
	if n := list.Len(); n < 1 || n > c.s.limits.MaxPackages {
		return quicrpc.Errorf(quicrpc.CodeInvalidArgument, "%d packages, want 1 to %d", n, c.s.limits.MaxPackages)
	}
	packages := make([]store.KeyPackage, list.Len())
	for i := range packages {
		raw, err := list.At(i)
		if err != nil {
			return malformed(err)
		}
		if packages[i], err = c.s.validate(&c.peer, raw); err != nil {
			return inPackage(i, err)
		}
	}
	if err := c.s.store.PutKeyPackages(ctx, c.peer, packages); err != nil {
		return c.s.failure(err)
	}
	status, err := c.s.store.CountKeyPackages(ctx, c.peer)
	if err != nil {
		return c.s.failure(err)
	}
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	results.SetAvailable(uint32(status.Available))
	fingerprints, err := results.NewFingerprints(int32(len(packages)))
	if err != nil {
		return err
	}
	for i := range packages {
		if err := fingerprints.Set(i, packages[i].Fingerprint[:]); err != nil {
			return err
		}
	}
	return nil
}

// inPackage says which package of several was refused.
func inPackage(i int, err error) error {
	var re *quicrpc.RPCError
	if errors.As(err, &re) {
		return quicrpc.Errorf(re.Code, "package %d: %s", i, re.Text)
	}
	return err
}

// PoolStatus describes the caller's pool.
func (c *server) PoolStatus(ctx context.Context, call schemas.AuthenticationService_poolStatus) error {
	if err := c.s.begin(poolStatus); err != nil {
		return err
	}
	pools, err := c.s.store.CountSuites(ctx, c.peer)
	if err != nil {
		return c.s.failure(err)
	}
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	list, err := results.NewSuites(int32(len(pools)))
	if err != nil {
		return err
	}
	all := store.PoolStatus{}
	for i, p := range pools {
		all.Available += p.Available
		all.LastResort = all.LastResort || p.LastResort
		list.At(i).SetSuite(p.Suite)
		list.At(i).SetAvailable(uint32(p.Available))
		list.At(i).SetLastResort(p.LastResort)
	}
	results.SetAvailable(uint32(all.Available))
	results.SetLastResort(all.LastResort)
	results.SetLowWater(c.s.limits.LowWater)
	return nil
}

// ServerInfo says what the server is.
func (c *server) ServerInfo(_ context.Context, call schemas.AuthenticationService_serverInfo) error {
	if err := c.s.begin(serverInfo); err != nil {
		return err
	}
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	info, err := results.NewInfo()
	if err != nil {
		return err
	}
	i := &c.s.info
	info.SetTime(c.s.clock().UnixMilli())
	info.SetMaxPayload(i.MaxPayload)
	info.SetMaxBatch(i.MaxBatch)
	info.SetMaxRecipients(i.MaxRecipients)
	info.SetMaxCallBytes(i.MaxCallBytes)
	if err := info.SetName(i.Name); err != nil {
		return err
	}
	if err := info.SetReceiptKey(i.ReceiptKey); err != nil {
		return err
	}
	return info.SetVersion(i.Version)
}

func malformed(err error) error {
	return quicrpc.Errorf(quicrpc.CodeInvalidArgument, "malformed call: %v", err)
}
