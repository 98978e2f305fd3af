package as

import (
	"context"
	"errors"
	"sync"
	"time"

	"quicnprotochat/names"
	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
	"quicnprotochat/store"
)

// nameRates limits changes of names, so that nobody makes the log, which is kept for good, grow fast: those by one caller, and those of one kind by all.
// Revocations, of which there is one a name, are not among the latter: nobody can keep another from revoking by using up what all have.
type nameRates struct {
	mu      sync.Mutex
	callers *windows[quicrpc.Peer]
	all     *windows[names.Kind]
}

func newNameRates(l Limits) *nameRates {
	return &nameRates{callers: newWindows[quicrpc.Peer](l.NameChanges, l.Claimants), all: newWindows[names.Kind](l.AllNameChanges, 2)}
}

// caller counts a call, whatever comes of it.
func (r *nameRates) caller(caller quicrpc.Peer, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.callers.has(caller, now) {
		return false
	}
	r.callers.take(caller, now)
	return true
}

// change counts a change that is about to be written: what is refused uses nothing up.
func (r *nameRates) change(kind names.Kind, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case kind == names.Revoke:
		return true
	case !r.all.has(kind, now):
		return false
	}
	r.all.take(kind, now)
	return true
}

// ClaimName gives a free name to the caller (requirement 17).
func (c *server) ClaimName(ctx context.Context, call schemas.AuthenticationService_claimName) error {
	e := names.Entry{Change: names.Change{Kind: names.Claim, Version: 1, New: names.Key(c.peer)}}
	a := call.Args()
	name, err := a.Name()
	signature, err2 := a.Signature()
	e.Name = name
	err = errors.Join(err, err2, fill(e.NewSignature[:], signature, "signature"))
	encoded, err := c.changeName(ctx, claimName, e, err)
	if err != nil {
		return err
	}
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	return results.SetEntry(encoded)
}

// RotateName hands a name on to another key of its client.
func (c *server) RotateName(ctx context.Context, call schemas.AuthenticationService_rotateName) error {
	a := call.Args()
	e := names.Entry{Change: names.Change{Kind: names.Rotate, Version: a.Version()}}
	name, err := a.Name()
	key, err2 := a.NewKey()
	before, err3 := a.OldSignature()
	after, err4 := a.NewSignature()
	e.Name = name
	err = errors.Join(err, err2, err3, err4, fill(e.New[:], key, "newKey"), fill(e.OldSignature[:], before, "oldSignature"),
		fill(e.NewSignature[:], after, "newSignature"))
	encoded, err := c.changeName(ctx, rotateName, e, err)
	if err != nil {
		return err
	}
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	return results.SetEntry(encoded)
}

// RevokeName takes a name from its key for good.
func (c *server) RevokeName(ctx context.Context, call schemas.AuthenticationService_revokeName) error {
	a := call.Args()
	e := names.Entry{Change: names.Change{Kind: names.Revoke, Version: a.Version()}}
	name, err := a.Name()
	signature, err2 := a.Signature()
	e.Name = name
	err = errors.Join(err, err2, fill(e.OldSignature[:], signature, "signature"))
	encoded, err := c.changeName(ctx, revokeName, e, err)
	if err != nil {
		return err
	}
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	return results.SetEntry(encoded)
}

// fill copies what must have the length of v.
func fill(v, from []byte, what string) error {
	if len(from) != len(v) {
		return quicrpc.Errorf(quicrpc.CodeInvalidArgument, "%s of %d bytes, want %d", what, len(from), len(v))
	}
	copy(v, from)
	return nil
}

// changeName checks what the caller may, and changes a name. err is of the arguments.
func (c *server) changeName(ctx context.Context, m method, e names.Entry, err error) ([]byte, error) {
	if err := c.s.begin(m); err != nil {
		return nil, err
	}
	if err := c.session.WaitHandshake(ctx); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, argument(err)
	}
	if err := names.CheckName(e.Name); err != nil {
		return nil, c.s.nameFailure(err)
	}
	now := c.s.clock()
	if !c.s.nameRates.caller(c.peer, now) {
		return nil, c.s.nameFailure(errNameRate)
	}
	encoded, err := c.s.names.change(ctx, e, names.Key(c.peer), now)
	if err != nil {
		return nil, c.s.nameFailure(err)
	}
	return encoded, nil
}

// argument keeps a typed error, and says of others that the call is malformed.
func argument(err error) error {
	if re := (*quicrpc.RPCError)(nil); errors.As(err, &re) {
		return re
	}
	return malformed(err)
}

// nameFailure says to the caller why a name was not changed or found.
func (s *Service) nameFailure(err error) error {
	for _, known := range []struct {
		err  error
		code quicrpc.Code
	}{
		{names.ErrInvalid, quicrpc.CodeInvalidArgument},
		{names.ErrVersion, quicrpc.CodeInvalidArgument},
		{names.ErrTaken, quicrpc.CodeExists},
		{names.ErrRevoked, quicrpc.CodeExists},
		{names.ErrClient, quicrpc.CodeExists},
		{names.ErrUnclaimed, quicrpc.CodeNotFound},
		{names.ErrHolder, quicrpc.CodeNotAuthorized},
		{names.ErrSignature, quicrpc.CodeNotAuthorized},
		{errNotHolder, quicrpc.CodeNotAuthorized},
		{errNames, quicrpc.CodeQuotaExceeded},
		{errNameRate, quicrpc.CodeRateLimited},
	} {
		if errors.Is(err, known.err) {
			return quicrpc.Errorf(known.code, "%v", err)
		}
	}
	if errors.Is(err, store.ErrCorrupt) {
		s.log.Error("as: the log of names is damaged", "err", err)
		return quicrpc.Errorf(quicrpc.CodeInternal, "the log of names is damaged")
	}
	return s.failure(err)
}
