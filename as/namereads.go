package as

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"capnproto.org/go/capnp/v3"

	"quicnprotochat/names"
	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
	"quicnprotochat/store"
)

// maxEntries is how many entries one call returns at most.
const maxEntries = 256

// history returns the entries of a name with numbers from on.
func (b *namebook) history(ctx context.Context, name string, from uint64, max int) (entries [][]byte, more bool, err error) {
	err = b.read(ctx, func() error {
		var records []store.Record
		if records, more, err = b.store.ListRecords(ctx, prefixHistory+name+"/", historyKey(name, from), max); err != nil {
			return err
		}
		for _, r := range records {
			number, err := strconv.ParseUint(r.Key[len(prefixHistory)+len(name)+1:], 16, 64)
			if err != nil {
				return corrupt(r)
			}
			entry, err := b.entry(ctx, number)
			if err != nil {
				return err
			}
			entries = append(entries, entry)
		}
		return nil
	})
	return entries, more, err
}

// log returns the entries with numbers from on, and where the log ends.
func (b *namebook) log(ctx context.Context, from uint64, max int) (entries [][]byte, head headRecord, err error) {
	err = b.read(ctx, func() error {
		head = b.head
		records, _, err := b.store.ListRecords(ctx, prefixNameLog, entryKey(from), max)
		if err != nil {
			return err
		}
		for i, r := range records {
			if r.Key != entryKey(from+uint64(i)) {
				return fmt.Errorf("%w: entry %d of the log of names is not there", store.ErrCorrupt, from+uint64(i))
			}
			entries = append(entries, r.Value)
		}
		return nil
	})
	return entries, head, err
}

// ResolveName says whose key a name stands for.
func (c *server) ResolveName(ctx context.Context, call schemas.AuthenticationService_resolveName) error {
	if err := c.s.begin(resolveName); err != nil {
		return err
	}
	name, err := call.Args().Name()
	if err != nil {
		return malformed(err)
	}
	if err := names.CheckName(name); err != nil {
		return c.s.nameFailure(err)
	}
	var n nameRecord
	var entry []byte
	b := c.s.names
	err = b.read(ctx, func() (err error) {
		if n, err = b.name(ctx, name); err == nil && n.Entry > 0 {
			entry, err = b.entry(ctx, n.Entry)
		}
		return err
	})
	if err != nil {
		return c.s.nameFailure(err)
	}
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	status, err := results.NewStatus()
	if err != nil {
		return err
	}
	if err := status.SetLogId(b.id[:]); err != nil || n.Version == 0 {
		return err
	}
	status.SetVersion(n.Version)
	status.SetRevoked(n.Revoked)
	status.SetChangedAt(int64(n.time))
	return errors.Join(status.SetKey(n.Key[:]), status.SetEntry(entry))
}

// NameHistory lists what happened to a name.
func (c *server) NameHistory(ctx context.Context, call schemas.AuthenticationService_nameHistory) error {
	if err := c.s.begin(nameHistory); err != nil {
		return err
	}
	a := call.Args()
	name, err := a.Name()
	if err != nil {
		return malformed(err)
	}
	if err := names.CheckName(name); err != nil {
		return c.s.nameFailure(err)
	}
	if err := checkMax(a.Max()); err != nil {
		return err
	}
	entries, more, err := c.s.names.history(ctx, name, a.From(), int(a.Max()))
	if err != nil {
		return c.s.nameFailure(err)
	}
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	results.SetMore(more)
	return setEntries(results.NewEntries, entries)
}

// NameLog lists what happened to all names (requirement 20).
func (c *server) NameLog(ctx context.Context, call schemas.AuthenticationService_nameLog) error {
	if err := c.s.begin(nameLog); err != nil {
		return err
	}
	a := call.Args()
	if a.From() == 0 {
		return quicrpc.Errorf(quicrpc.CodeInvalidArgument, "from is 0, the first entry is 1")
	}
	if err := checkMax(a.Max()); err != nil {
		return err
	}
	entries, head, err := c.s.names.log(ctx, a.From(), int(a.Max()))
	if err != nil {
		return c.s.nameFailure(err)
	}
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	h, err := results.NewHead()
	if err != nil {
		return err
	}
	h.SetNumber(head.number)
	return errors.Join(h.SetLogId(c.s.names.id[:]), h.SetHash(head.hash[:]), setEntries(results.NewEntries, entries))
}

func checkMax(n uint32) error {
	if n < 1 || n > maxEntries {
		return quicrpc.Errorf(quicrpc.CodeInvalidArgument, "at most %d entries, want 1 to %d", n, maxEntries)
	}
	return nil
}

func setEntries(alloc func(int32) (capnp.DataList, error), entries [][]byte) error {
	list, err := alloc(int32(len(entries)))
	for i := 0; i < len(entries) && err == nil; i++ {
		err = list.Set(i, entries[i])
	}
	return err
}

// SameClient says whether two keys are one client's (requirement 17).
func (c *server) SameClient(ctx context.Context, call schemas.AuthenticationService_sameClient) error {
	if err := c.s.begin(sameClient); err != nil {
		return err
	}
	var keys [2]names.Key
	a, err := call.Args().A()
	other, err2 := call.Args().B()
	if err := errors.Join(err, err2, fill(keys[0][:], a, "a"), fill(keys[1][:], other, "b")); err != nil {
		return argument(err)
	}
	var clients [2]names.Key
	b := c.s.names
	err = b.read(ctx, func() error {
		for i := range keys {
			k, err := b.key(ctx, &keys[i])
			if err != nil {
				return err
			}
			clients[i] = k.client
		}
		return nil
	})
	if err != nil {
		return c.s.nameFailure(err)
	}
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	results.SetSame(clients[0] == clients[1])
	return nil
}
