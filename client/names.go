package client

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"time"

	"quicnprotochat/certs"
	"quicnprotochat/names"
	"quicnprotochat/schemas"
)

// NameStatus is what a server says of a name. Its keys signed the last change; that the server keeps a later one, or another past, to itself
// shows only who reads the log (AuditNames).
type NameStatus struct {
	Name    string
	Log     names.LogID
	Version uint64         // 0: nobody claimed it
	Key     certs.Identity // who has it; of a revoked one, who had it last
	Revoked bool
	Changed time.Time
	Last    names.Entry // if Version is not 0
}

// ResolveName asks whose key a name stands for. Without effect. The last change is checked: it must be of this name, lead to this answer, and be signed.
func (s *Session) ResolveName(ctx context.Context, name string) (NameStatus, error) {
	as, rpc, err := s.as(ctx)
	if err != nil {
		return NameStatus{}, err
	}
	defer rpc.release()
	f, release := as.ResolveName(ctx, func(p schemas.AuthenticationService_resolveName_Params) error { return p.SetName(name) })
	defer release()
	res, err := f.Struct()
	if err != nil {
		return NameStatus{}, rpc.Err(err)
	}
	status, err := res.Status()
	if err != nil {
		return NameStatus{}, protocolErrorf("resolveName: %v", err)
	}
	return nameStatus(name, status)
}

func nameStatus(name string, status schemas.NameStatus) (n NameStatus, err error) {
	log, err := status.LogId()
	if err != nil || len(log) != len(n.Log) {
		return n, protocolErrorf("resolveName: log id of %d bytes", len(log))
	}
	n = NameStatus{Name: name, Log: names.LogID(log), Version: status.Version(), Revoked: status.Revoked()}
	if n.Version == 0 {
		return n, nil
	}
	key, err := status.Key()
	if err != nil || len(key) != len(n.Key) {
		return n, protocolErrorf("resolveName: key of %d bytes", len(key))
	}
	n.Key = certs.Identity(key)
	entry, err := status.Entry()
	if err != nil {
		return n, protocolErrorf("resolveName: %v", err)
	}
	if n.Last, err = signedEntry(n.Log, name, entry); err != nil {
		return n, err
	}
	n.Changed = time.UnixMilli(int64(n.Last.Time)).UTC()
	holder, revoked := n.Last.New, n.Last.Kind == names.Revoke
	if revoked {
		holder = n.Last.Old
	}
	if n.Last.Version != n.Version || revoked != n.Revoked || holder != names.Key(n.Key) {
		return n, protocolErrorf("resolveName: the last change does not lead to what is said of the name")
	}
	return n, nil
}

// signedEntry checks that an entry is of a name and signed.
func signedEntry(log names.LogID, name string, encoded []byte) (names.Entry, error) {
	e, err := names.Decode(log, encoded)
	if err == nil {
		err = e.Signed()
	}
	if err == nil && e.Name != name {
		err = fmt.Errorf("entry of %q in place of %q", e.Name, name)
	}
	if err != nil {
		return names.Entry{}, protocolErrorf("log of names: %v", err)
	}
	return e, nil
}

// ClaimName gives a free name to key, which must be the session's. Errors: quicrpc.ErrExists, names.ErrInvalid and quicrpc's.
func (s *Session) ClaimName(ctx context.Context, name string, key ed25519.PrivateKey) (names.Entry, error) {
	if err := names.CheckName(name); err != nil {
		return names.Entry{}, err
	}
	status, err := s.ResolveName(ctx, name)
	if err != nil {
		return names.Entry{}, err
	}
	c := names.Change{Log: status.Log, Kind: names.Claim, Name: name, Version: 1, New: names.Key(certs.IdentityOf(key))}
	signature := c.Sign(key)
	as, rpc, err := s.as(ctx)
	if err != nil {
		return names.Entry{}, err
	}
	defer rpc.release()
	f, release := as.ClaimName(ctx, func(p schemas.AuthenticationService_claimName_Params) error {
		if err := p.SetName(name); err != nil {
			return err
		}
		return p.SetSignature(signature[:])
	})
	defer release()
	res, err := f.Struct()
	if err != nil {
		return names.Entry{}, rpc.Err(err)
	}
	entry, err := res.Entry()
	return accepted(&c, entry, err)
}

// accepted checks that the server wrote the change that was asked for.
func accepted(c *names.Change, encoded []byte, err error) (names.Entry, error) {
	if err != nil {
		return names.Entry{}, protocolErrorf("log of names: %v", err)
	}
	e, err := signedEntry(c.Log, c.Name, encoded)
	if err == nil && e.Change != *c {
		err = protocolErrorf("the server wrote another change of %q", c.Name)
	}
	return e, err
}

// RotateName hands a name on from key old to key new; the session is of one of the two. Errors: quicrpc's.
func (s *Session) RotateName(ctx context.Context, name string, old, new ed25519.PrivateKey) (names.Entry, error) {
	c, err := s.nextChange(ctx, name, names.Rotate, old)
	if err != nil {
		return names.Entry{}, err
	}
	c.New = names.Key(certs.IdentityOf(new))
	before, after := c.Sign(old), c.Sign(new)
	as, rpc, err := s.as(ctx)
	if err != nil {
		return names.Entry{}, err
	}
	defer rpc.release()
	f, release := as.RotateName(ctx, func(p schemas.AuthenticationService_rotateName_Params) error {
		p.SetVersion(c.Version)
		if err := p.SetName(name); err != nil {
			return err
		}
		if err := p.SetNewKey(c.New[:]); err != nil {
			return err
		}
		if err := p.SetOldSignature(before[:]); err != nil {
			return err
		}
		return p.SetNewSignature(after[:])
	})
	defer release()
	res, err := f.Struct()
	if err != nil {
		return names.Entry{}, rpc.Err(err)
	}
	entry, err := res.Entry()
	return accepted(&c, entry, err)
}

// RevokeName takes a name from key for good. Errors: quicrpc's.
func (s *Session) RevokeName(ctx context.Context, name string, key ed25519.PrivateKey) (names.Entry, error) {
	c, err := s.nextChange(ctx, name, names.Revoke, key)
	if err != nil {
		return names.Entry{}, err
	}
	signature := c.Sign(key)
	as, rpc, err := s.as(ctx)
	if err != nil {
		return names.Entry{}, err
	}
	defer rpc.release()
	f, release := as.RevokeName(ctx, func(p schemas.AuthenticationService_revokeName_Params) error {
		p.SetVersion(c.Version)
		if err := p.SetName(name); err != nil {
			return err
		}
		return p.SetSignature(signature[:])
	})
	defer release()
	res, err := f.Struct()
	if err != nil {
		return names.Entry{}, rpc.Err(err)
	}
	entry, err := res.Entry()
	return accepted(&c, entry, err)
}

// nextChange begins the next change of a name that key has.
func (s *Session) nextChange(ctx context.Context, name string, kind names.Kind, key ed25519.PrivateKey) (names.Change, error) {
	if err := names.CheckName(name); err != nil {
		return names.Change{}, err
	}
	status, err := s.ResolveName(ctx, name)
	switch {
	case err != nil:
		return names.Change{}, err
	case status.Version == 0:
		return names.Change{}, fmt.Errorf("%w: %s", names.ErrUnclaimed, name)
	case status.Revoked:
		return names.Change{}, fmt.Errorf("%w: %s", names.ErrRevoked, name)
	case status.Key != certs.IdentityOf(key):
		return names.Change{}, fmt.Errorf("%w: %s is %v's", names.ErrHolder, name, status.Key)
	}
	return names.Change{Log: status.Log, Kind: kind, Name: name, Version: status.Version + 1, Old: names.Key(status.Key)}, nil
}

// ClaimName gives a free name to the account.
func (a *Account) ClaimName(ctx context.Context, s *Session, name string) (names.Entry, error) {
	return s.ClaimName(ctx, name, a.key)
}

// RotateName hands a name of the account on to another one.
func (a *Account) RotateName(ctx context.Context, s *Session, name string, to *Account) (names.Entry, error) {
	return s.RotateName(ctx, name, a.key, to.key)
}

// RevokeName takes a name from the account for good.
func (a *Account) RevokeName(ctx context.Context, s *Session, name string) (names.Entry, error) {
	return s.RevokeName(ctx, name, a.key)
}

// SameClient asks whether two keys are one client's. Without effect.
func (s *Session) SameClient(ctx context.Context, a, b certs.Identity) (bool, error) {
	as, rpc, err := s.as(ctx)
	if err != nil {
		return false, err
	}
	defer rpc.release()
	f, release := as.SameClient(ctx, func(p schemas.AuthenticationService_sameClient_Params) error {
		if err := p.SetA(a[:]); err != nil {
			return err
		}
		return p.SetB(b[:])
	})
	defer release()
	res, err := f.Struct()
	if err != nil {
		return false, rpc.Err(err)
	}
	return res.Same(), nil
}
