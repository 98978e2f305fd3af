package as_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"

	"quicnprotochat/names"
	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
)

func (p *person) private() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(p.seed) }

// resolved is what resolveName tells.
type resolved struct {
	version uint64
	key     []byte
	revoked bool
	entry   []byte
	log     names.LogID
}

func (p *person) resolve(name string) (r resolved, err error) {
	f, release := p.as.ResolveName(p.t.Context(), func(a schemas.AuthenticationService_resolveName_Params) error { return a.SetName(name) })
	defer release()
	res, err := f.Struct()
	if err != nil {
		return r, quicrpc.FromRPC(err)
	}
	s, err := res.Status()
	if err != nil {
		return r, err
	}
	key, err1 := s.Key()
	entry, err2 := s.Entry()
	log, err3 := s.LogId()
	copy(r.log[:], log)
	r.version, r.revoked, r.key, r.entry = s.Version(), s.Revoked(), bytes.Clone(key), bytes.Clone(entry)
	return r, errors.Join(err1, err2, err3)
}

func (p *person) claimName(name string, signature names.Signature) ([]byte, error) {
	f, release := p.as.ClaimName(p.t.Context(), func(a schemas.AuthenticationService_claimName_Params) error {
		return errors.Join(a.SetName(name), a.SetSignature(signature[:]))
	})
	defer release()
	r, err := f.Struct()
	if err != nil {
		return nil, quicrpc.FromRPC(err)
	}
	entry, err := r.Entry()
	return bytes.Clone(entry), err
}

func (p *person) rotateName(c *names.Change, old, new names.Signature) ([]byte, error) {
	f, release := p.as.RotateName(p.t.Context(), func(a schemas.AuthenticationService_rotateName_Params) error {
		a.SetVersion(c.Version)
		return errors.Join(a.SetName(c.Name), a.SetNewKey(c.New[:]), a.SetOldSignature(old[:]), a.SetNewSignature(new[:]))
	})
	defer release()
	r, err := f.Struct()
	if err != nil {
		return nil, quicrpc.FromRPC(err)
	}
	entry, err := r.Entry()
	return bytes.Clone(entry), err
}

func (p *person) revokeName(c *names.Change, signature names.Signature) ([]byte, error) {
	f, release := p.as.RevokeName(p.t.Context(), func(a schemas.AuthenticationService_revokeName_Params) error {
		a.SetVersion(c.Version)
		return errors.Join(a.SetName(c.Name), a.SetSignature(signature[:]))
	})
	defer release()
	r, err := f.Struct()
	if err != nil {
		return nil, quicrpc.FromRPC(err)
	}
	entry, err := r.Entry()
	return bytes.Clone(entry), err
}

func (p *person) history(name string, from uint64, most uint32) (entries [][]byte, more bool, err error) {
	f, release := p.as.NameHistory(p.t.Context(), func(a schemas.AuthenticationService_nameHistory_Params) error {
		a.SetFrom(from)
		a.SetMax(most)
		return a.SetName(name)
	})
	defer release()
	r, err := f.Struct()
	if err != nil {
		return nil, false, quicrpc.FromRPC(err)
	}
	list, err := r.Entries()
	for i := range list.Len() {
		b, e := list.At(i)
		entries, err = append(entries, bytes.Clone(b)), errors.Join(err, e)
	}
	return entries, r.More(), err
}

func (p *person) nameLog(from uint64, most uint32) (entries [][]byte, number uint64, hash []byte, err error) {
	f, release := p.as.NameLog(p.t.Context(), func(a schemas.AuthenticationService_nameLog_Params) error {
		a.SetFrom(from)
		a.SetMax(most)
		return nil
	})
	defer release()
	r, err := f.Struct()
	if err != nil {
		return nil, 0, nil, quicrpc.FromRPC(err)
	}
	list, err := r.Entries()
	for i := range list.Len() {
		b, e := list.At(i)
		entries, err = append(entries, bytes.Clone(b)), errors.Join(err, e)
	}
	h, err1 := r.Head()
	sum, err2 := h.Hash()
	return entries, h.Number(), bytes.Clone(sum), errors.Join(err, err1, err2)
}

func (p *person) same(a, b []byte) (bool, error) {
	f, release := p.as.SameClient(p.t.Context(), func(params schemas.AuthenticationService_sameClient_Params) error {
		return errors.Join(params.SetA(a), params.SetB(b))
	})
	defer release()
	r, err := f.Struct()
	if err != nil {
		return false, quicrpc.FromRPC(err)
	}
	return r.Same(), nil
}

// next is the change of a name that comes next; nobody has signed it.
func (p *person) next(kind names.Kind, name string, to names.Key) *names.Change {
	p.t.Helper()
	r, err := p.resolve(name)
	if err != nil {
		p.t.Fatal(err)
	}
	c := &names.Change{Log: r.log, Kind: kind, Name: name, Version: r.version + 1, New: to}
	copy(c.Old[:], r.key)
	return c
}

func (p *person) mustClaim(name string) []byte {
	p.t.Helper()
	entry, err := p.claimName(name, p.next(names.Claim, name, names.Key(p.key)).Sign(p.private()))
	if err != nil {
		p.t.Fatal(err)
	}
	return entry
}
