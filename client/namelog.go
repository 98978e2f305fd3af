package client

import (
	"context"
	"fmt"

	"quicnprotochat/names"
	"quicnprotochat/schemas"
)

// namesAtATime is how many entries of the log of names are asked for in one call; the server gives no more.
const namesAtATime = 256

// NameHistory lists all changes of a name, first to last. Without effect. They are checked: one follows the other by the rules for names, all are signed.
func (s *Session) NameHistory(ctx context.Context, name string) ([]names.Entry, error) {
	status, err := s.ResolveName(ctx, name)
	if err != nil {
		return nil, err
	}
	var entries []names.Entry
	state := names.State{}
	for more := true; more; {
		var page [][]byte
		if page, more, err = s.nameHistory(ctx, name, state.Entry+1); err != nil {
			return nil, err
		}
		if more && len(page) == 0 {
			return nil, protocolErrorf("nameHistory: nothing, and more")
		}
		for _, encoded := range page {
			e, err := signedEntry(status.Log, name, encoded)
			if err == nil && e.Number <= state.Entry {
				err = fmt.Errorf("entry %d after %d", e.Number, state.Entry)
			}
			if err == nil {
				err = state.Allows(&e.Change, &e.OldSignature, &e.NewSignature)
			}
			if err != nil {
				return nil, protocolErrorf("nameHistory: %v", err)
			}
			state = state.After(&e)
			entries = append(entries, e)
		}
	}
	if state.Version < status.Version {
		return nil, protocolErrorf("nameHistory: %d changes, there were %d", state.Version, status.Version)
	}
	return entries, nil
}

func (s *Session) nameHistory(ctx context.Context, name string, from uint64) (entries [][]byte, more bool, err error) {
	as, rpc, err := s.as(ctx)
	if err != nil {
		return nil, false, err
	}
	defer rpc.release()
	f, release := as.NameHistory(ctx, func(p schemas.AuthenticationService_nameHistory_Params) error {
		p.SetFrom(from)
		p.SetMax(namesAtATime)
		return p.SetName(name)
	})
	defer release()
	res, err := f.Struct()
	if err != nil {
		return nil, false, rpc.Err(err)
	}
	list, err := res.Entries()
	if err == nil {
		entries, err = dataList(list)
	}
	if err != nil {
		return nil, false, protocolErrorf("nameHistory: %v", err)
	}
	return entries, res.More(), nil
}

// AuditNames reads what a has not yet seen of the log of names, and checks all of it. Without effect. nil begins a new audit. The audit returned
// is where to go on the next time: a server that tells another past then is found out. Errors: ErrProtocol, and why, if the server does not keep to its log.
func (s *Session) AuditNames(ctx context.Context, a *names.Audit) (*names.Audit, error) {
	for {
		from := uint64(1)
		if a != nil {
			number, _ := a.Head()
			from = number + 1
		}
		entries, head, err := s.nameLog(ctx, from)
		if err != nil {
			return a, err
		}
		if a == nil {
			a = names.NewAudit(head.log)
		}
		for _, encoded := range entries {
			if _, err := a.Next(encoded); err != nil {
				return a, protocolErrorf("log of names: %w", err)
			}
		}
		number, hash := a.Head()
		switch {
		case head.log != a.Log():
			return a, protocolErrorf("log of names: another log than before")
		case number == head.number && hash == head.hash:
			return a, nil
		case len(entries) == 0, number >= head.number:
			return a, protocolErrorf("log of names: the server's head is entry %d, what it told leads to another at %d", head.number, number)
		}
	}
}

type nameHead struct {
	log    names.LogID
	number uint64
	hash   [32]byte
}

func (s *Session) nameLog(ctx context.Context, from uint64) (entries [][]byte, head nameHead, err error) {
	as, rpc, err := s.as(ctx)
	if err != nil {
		return nil, head, err
	}
	defer rpc.release()
	f, release := as.NameLog(ctx, func(p schemas.AuthenticationService_nameLog_Params) error {
		p.SetFrom(from)
		p.SetMax(namesAtATime)
		return nil
	})
	defer release()
	res, err := f.Struct()
	if err != nil {
		return nil, head, rpc.Err(err)
	}
	list, err := res.Entries()
	if err == nil {
		entries, err = dataList(list)
	}
	if err != nil {
		return nil, head, protocolErrorf("nameLog: %v", err)
	}
	h, err := res.Head()
	if err != nil {
		return nil, head, protocolErrorf("nameLog: %v", err)
	}
	log, err1 := h.LogId()
	hash, err2 := h.Hash()
	if err1 != nil || err2 != nil || len(log) != len(head.log) || len(hash) != len(head.hash) {
		return nil, head, protocolErrorf("nameLog: log id of %d bytes, hash of %d", len(log), len(hash))
	}
	return entries, nameHead{names.LogID(log), h.Number(), [32]byte(hash)}, nil
}
