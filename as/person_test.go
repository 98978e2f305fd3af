package as_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"quicnprotochat/as"

	"quicnprotochat/mls"
	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
	"quicnprotochat/store/memory"
)

// session is a connection whose handshake completes when the test says so.
type session struct {
	peer quicrpc.Peer
	done chan struct{}
}

func (s *session) Peer() quicrpc.Peer { return s.peer }

func (s *session) WaitHandshake(ctx context.Context) error {
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// person is an identity with its capability.
type person struct {
	t    *testing.T
	seed []byte
	key  quicrpc.Peer
	as   schemas.AuthenticationService
	sess *session
}

// fixture is a service on a memory store, with a clock that the test moves.
type fixture struct {
	*as.Service
	t       *testing.T
	mu      sync.Mutex
	now     time.Time
	notices []notice
}

// notice is a call of the hook.
type notice struct {
	owner          [32]byte
	available      int
	lastResortUsed bool
}

func (f *fixture) poolLow(owner [32]byte, available int, lastResortUsed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.notices = append(f.notices, notice{owner, available, lastResortUsed})
}

// told returns the calls of the hook since the last time.
func (f *fixture) told() (n []notice) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, f.notices = f.notices, nil
	return n
}

func (f *fixture) clock() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fixture) pass(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}

func start(t *testing.T, l as.Limits) *fixture {
	f := &fixture{t: t, now: time.Unix(1_750_000_000, 0)}
	s := memory.New(memory.Options{Clock: f.clock})
	f.Service = as.New(as.Config{Store: s, Clock: f.clock, Limits: l, Info: as.Info{Name: "quicnprotochat", Version: "v0"}, PoolLow: f.poolLow})
	t.Cleanup(func() { _ = s.Close() })
	return f
}

func (f *fixture) person(n byte) *person {
	seed := bytes.Repeat([]byte{n}, ed25519.SeedSize)
	p := &person{t: f.t, seed: seed, sess: &session{done: make(chan struct{})}}
	p.key = quicrpc.Peer(ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
	p.sess.peer = p.key
	close(p.sess.done)
	p.as = schemas.AuthenticationService(f.Client(p.sess))
	f.t.Cleanup(p.as.Release)
	return p
}

// keyPackage makes one for p; change may spoil it.
func (p *person) keyPackage(now time.Time, change func(*keyPackageSpec)) []byte {
	p.t.Helper()
	spec := keyPackageSpec{suite: mls.X25519_AES128GCM_SHA256_Ed25519, seed: p.seed, identity: p.key[:], opts: mls.KeyPackageOptions{Now: now}}
	if change != nil {
		change(&spec)
	}
	id, err := mls.NewBasicIdentity(spec.suite, spec.seed, spec.identity)
	if err != nil {
		p.t.Fatal(err)
	}
	b, err := mls.NewKeyPackage(id, spec.opts)
	if err != nil {
		p.t.Fatal(err)
	}
	if spec.wrap {
		return b.Message()
	}
	return b.Public()
}

type keyPackageSpec struct {
	suite    mls.Suite
	seed     []byte
	identity []byte
	opts     mls.KeyPackageOptions
	wrap     bool
}

func (p *person) upload(identity, raw []byte) ([]byte, error) {
	f, release := p.as.UploadKeyPackage(p.t.Context(), func(a schemas.AuthenticationService_uploadKeyPackage_Params) error {
		return errors.Join(a.SetIdentityKey(identity), a.SetPackage(raw))
	})
	defer release()
	r, err := f.Struct()
	if err != nil {
		return nil, quicrpc.FromRPC(err)
	}
	fingerprint, err := r.Fingerprint()
	return bytes.Clone(fingerprint), err
}

func (p *person) uploadMany(packages ...[]byte) (available uint32, fingerprints [][]byte, err error) {
	f, release := p.as.UploadKeyPackages(p.t.Context(), func(a schemas.AuthenticationService_uploadKeyPackages_Params) error {
		list, err := a.NewPackages(int32(len(packages)))
		for i := range packages {
			err = errors.Join(err, list.Set(i, packages[i]))
		}
		return err
	})
	defer release()
	r, err := f.Struct()
	if err != nil {
		return 0, nil, quicrpc.FromRPC(err)
	}
	list, err := r.Fingerprints()
	for i := range list.Len() {
		b, e := list.At(i)
		err = errors.Join(err, e)
		fingerprints = append(fingerprints, bytes.Clone(b))
	}
	return r.Available(), fingerprints, err
}

func (p *person) fetch(target []byte) ([]byte, error) {
	f, release := p.as.FetchKeyPackage(p.t.Context(), func(a schemas.AuthenticationService_fetchKeyPackage_Params) error {
		return a.SetIdentityKey(target)
	})
	defer release()
	r, err := f.Struct()
	if err != nil {
		return nil, quicrpc.FromRPC(err)
	}
	raw, err := r.Package()
	return bytes.Clone(raw), err
}

func (p *person) pool() (available uint32, last bool) {
	p.t.Helper()
	f, release := p.as.PoolStatus(p.t.Context(), nil)
	defer release()
	r, err := f.Struct()
	if err != nil || r.LowWater() != 10 {
		p.t.Fatalf("pool: low water %d, %v", r.LowWater(), err)
	}
	return r.Available(), r.LastResort()
}

// claim takes one package a suite.
func (p *person) claim(target []byte, suites ...uint16) (packages [][]byte, err error) {
	f, release := p.as.ClaimKeyPackages(p.t.Context(), func(a schemas.AuthenticationService_claimKeyPackages_Params) error {
		list, err := a.NewSuites(int32(len(suites)))
		for i := range suites {
			list.Set(i, suites[i])
		}
		return errors.Join(err, a.SetIdentityKey(target))
	})
	defer release()
	r, err := f.Struct()
	if err != nil {
		return nil, quicrpc.FromRPC(err)
	}
	list, err := r.Packages()
	for i := range list.Len() {
		b, e := list.At(i)
		err = errors.Join(err, e)
		packages = append(packages, bytes.Clone(b))
	}
	return packages, err
}

// pools are p's own, each as suite:available, with an L behind it for a last-resort package.
func (p *person) pools() (s string) {
	p.t.Helper()
	f, release := p.as.PoolStatus(p.t.Context(), nil)
	defer release()
	r, err := f.Struct()
	if err != nil {
		p.t.Fatal(err)
	}
	list, err := r.Suites()
	if err != nil {
		p.t.Fatal(err)
	}
	for i := range list.Len() {
		s += fmt.Sprintf(" %d:%d", list.At(i).Suite(), list.At(i).Available())
		if list.At(i).LastResort() {
			s += "L"
		}
	}
	return strings.TrimSpace(s)
}
