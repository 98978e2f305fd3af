package client

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"time"

	capnp "capnproto.org/go/capnp/v3"

	"quicnprotochat/certs"
	"quicnprotochat/mls"
	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
)

// ServerInfo is what a server says about itself and the limits that it enforces; sizes in bytes.
type ServerInfo struct {
	Name, Version string
	Time          time.Time
	MaxPayload    int
	MaxBatch      int
	MaxRecipients int
	MaxCallBytes  int
	ReceiptKey    ed25519.PublicKey // that receipts are signed with; nil: it gives none
}

// ServerInfo asks for it. Without effect at the server, so it may travel in 0-RTT; if the server rejects that, it is asked once more.
func (s *Session) ServerInfo(ctx context.Context) (ServerInfo, error) {
	info, err := s.serverInfo(ctx)
	if errors.Is(err, quicrpc.ErrEarlyRejected) {
		info, err = s.serverInfo(ctx)
	}
	return info, err
}

func (s *Session) serverInfo(ctx context.Context) (ServerInfo, error) {
	as, rpc, err := s.as(ctx)
	if err != nil {
		return ServerInfo{}, err
	}
	defer rpc.release()
	f, release := as.ServerInfo(ctx, nil)
	defer release()
	res, err := f.Struct()
	if err != nil {
		return ServerInfo{}, rpc.Err(err)
	}
	info, err := res.Info()
	if err != nil {
		return ServerInfo{}, protocolErrorf("serverInfo: %v", err)
	}
	name, _ := info.Name()
	version, _ := info.Version()
	key, err := info.ReceiptKey()
	if err != nil || len(key) != 0 && len(key) != ed25519.PublicKeySize {
		return ServerInfo{}, protocolErrorf("serverInfo: receipt key of %d bytes: %v", len(key), err)
	}
	return ServerInfo{
		Name: name, Version: version, Time: time.UnixMilli(info.Time()),
		MaxPayload: int(info.MaxPayload()), MaxBatch: int(info.MaxBatch()),
		MaxRecipients: int(info.MaxRecipients()), MaxCallBytes: int(info.MaxCallBytes()),
		ReceiptKey: append(ed25519.PublicKey(nil), key...),
	}, nil
}

// UploadKeyPackages publishes raw KeyPackages of the caller's own, all or none, and returns how many the pool then has.
func (s *Session) UploadKeyPackages(ctx context.Context, packages [][]byte) (available int, err error) {
	as, rpc, err := s.as(ctx)
	if err != nil {
		return 0, err
	}
	defer rpc.release()
	f, release := as.UploadKeyPackages(ctx, func(p schemas.AuthenticationService_uploadKeyPackages_Params) error {
		list, err := p.NewPackages(int32(len(packages)))
		if err != nil {
			return err
		}
		return setAll(list, packages)
	})
	defer release()
	res, err := f.Struct()
	if err != nil {
		return 0, rpc.Err(err)
	}
	prints, err := res.Fingerprints()
	if err != nil || prints.Len() != len(packages) {
		return 0, protocolErrorf("uploadKeyPackages: %d fingerprints for %d packages", prints.Len(), len(packages))
	}
	for i, p := range packages {
		if got, _ := prints.At(i); [sha256.Size]byte(sha256.Sum256(p)) != toHash(got) {
			return 0, protocolErrorf("uploadKeyPackages: wrong fingerprint")
		}
	}
	return int(res.Available()), nil
}

func toHash(b []byte) (h [sha256.Size]byte) {
	copy(h[:], b)
	return h
}

func setAll(list capnp.DataList, values [][]byte) error {
	for i, v := range values {
		if err := list.Set(i, v); err != nil {
			return err
		}
	}
	return nil
}

// FetchKeyPackage takes one KeyPackage of owner from the server; ErrNoKeyPackage if there is none. It is not validated yet.
func (s *Session) FetchKeyPackage(ctx context.Context, owner certs.Identity) ([]byte, error) {
	as, rpc, err := s.as(ctx)
	if err != nil {
		return nil, err
	}
	defer rpc.release()
	f, release := as.FetchKeyPackage(ctx, func(p schemas.AuthenticationService_fetchKeyPackage_Params) error {
		return p.SetIdentityKey(owner[:])
	})
	defer release()
	res, err := f.Struct()
	if err != nil {
		return nil, rpc.Err(err)
	}
	pkg, err := res.Package()
	if err != nil {
		return nil, protocolErrorf("fetchKeyPackage: %v", err)
	}
	if len(pkg) == 0 {
		return nil, ErrNoKeyPackage
	}
	return append([]byte(nil), pkg...), nil
}

// ClaimKeyPackages takes one KeyPackage of each of the cipher suites from owner; fewer if there are fewer, ErrNoKeyPackage if there is none. They are not
// validated yet.
func (s *Session) ClaimKeyPackages(ctx context.Context, owner certs.Identity, suites []mls.Suite) ([][]byte, error) {
	as, rpc, err := s.as(ctx)
	if err != nil {
		return nil, err
	}
	defer rpc.release()
	f, release := as.ClaimKeyPackages(ctx, func(p schemas.AuthenticationService_claimKeyPackages_Params) error {
		list, err := p.NewSuites(int32(len(suites)))
		if err != nil {
			return err
		}
		for i, suite := range suites {
			list.Set(i, uint16(suite))
		}
		return p.SetIdentityKey(owner[:])
	})
	defer release()
	res, err := f.Struct()
	if err != nil {
		return nil, rpc.Err(err)
	}
	list, err := res.Packages()
	if err != nil || list.Len() > len(suites) {
		return nil, protocolErrorf("claimKeyPackages: %d packages for %d suites, %v", list.Len(), len(suites), err)
	}
	packages, err := dataList(list)
	if err != nil {
		return nil, protocolErrorf("claimKeyPackages: %v", err)
	}
	if len(packages) == 0 {
		return nil, ErrNoKeyPackage
	}
	return packages, nil
}

// dataList copies what a reply holds.
func dataList(list capnp.DataList) (values [][]byte, err error) {
	for i := range list.Len() {
		v, err := list.At(i)
		if err != nil {
			return nil, err
		}
		values = append(values, append([]byte(nil), v...))
	}
	return values, nil
}

// PoolStatus is the state of the caller's own KeyPackage pools.
type PoolStatus struct {
	Available, LowWater int // of all suites; of one suite
	LastResort          bool
	Suites              []SuiteStatus // that have something, ascending
}

// SuiteStatus is the state of the pool of one cipher suite.
type SuiteStatus struct {
	Suite      mls.Suite
	Available  int
	LastResort bool
}

// PoolStatus asks for it. Without effect.
func (s *Session) PoolStatus(ctx context.Context) (PoolStatus, error) {
	as, rpc, err := s.as(ctx)
	if err != nil {
		return PoolStatus{}, err
	}
	defer rpc.release()
	f, release := as.PoolStatus(ctx, nil)
	defer release()
	res, err := f.Struct()
	if err != nil {
		return PoolStatus{}, rpc.Err(err)
	}
	status := PoolStatus{Available: int(res.Available()), LowWater: int(res.LowWater()), LastResort: res.LastResort()}
	suites, err := res.Suites()
	if err != nil {
		return PoolStatus{}, protocolErrorf("poolStatus: %v", err)
	}
	for i := range suites.Len() {
		p := suites.At(i)
		status.Suites = append(status.Suites, SuiteStatus{mls.Suite(p.Suite()), int(p.Available()), p.LastResort()})
	}
	return status, nil
}
