package as

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"quicnprotochat/names"
	"quicnprotochat/store"
)

var (
	// errNames says that a client has claimed as many names as it may.
	errNames = errors.New("as: too many names")
	// errNotHolder says that neither the old key nor the new one of a rotation is the caller's.
	errNotHolder = errors.New("as: the caller is neither the old key nor the new one")
	// errNameRate says that names are changed too fast.
	errNameRate = errors.New("as: too many changes of names; try again later")
)

// namebook is the log of names in records of the store, with what is derived from it.
//
// The log is the truth: a change has happened when its entry is there, which is put under the next number if there is none (compare-and-set with version 0), so
// that numbers have no gap and no entry is ever written twice. A record changes alone, so a crash can come between the entry and what is derived from it: the state of
// the name, its history, the client of the key, and last of all the head. So before anything is read or written the entries above the head are applied once
// more. Each derived record carries the number of the entry that it was last changed by, or is the same however often it is written; applying an entry twice changes
// nothing. Nothing is lost whenever the crash comes: with the entry, all follows from it; without, nothing was done and the caller has no answer.
//
//	as/names/id                          -> the log's id
//	as/names/log/<number, 16 hex>        -> entry, as names encodes it
//	as/names/head                        -> number, hash and time of the last entry that was applied
//	as/names/name/<name>                 -> nameRecord
//	as/names/history/<name>/<number>     -> 1
//	as/names/key/<key, 64 hex>           -> keyRecord
type namebook struct {
	store     store.Records
	maxClaims uint32
	rates     *nameRates

	mu    sync.RWMutex
	ready bool // what is derived is as the log says
	id    names.LogID
	head  headRecord
}

const (
	keyNameID      = "as/names/id"
	keyNameHead    = "as/names/head"
	prefixNameLog  = "as/names/log/"
	prefixName     = "as/names/name/"
	prefixHistory  = "as/names/history/"
	prefixNameKey  = "as/names/key/"
	catchUpAtATime = 64
)

func entryKey(number uint64) string { return fmt.Sprintf("%s%016x", prefixNameLog, number) }

func historyKey(name string, number uint64) string {
	return fmt.Sprintf("%s%s/%016x", prefixHistory, name, number)
}

func clientKey(k *names.Key) string { return fmt.Sprintf("%s%x", prefixNameKey, k[:]) }

// read calls f when all is as the log says, beside other readers.
func (b *namebook) read(ctx context.Context, f func() error) error {
	for {
		b.mu.RLock()
		if b.ready {
			defer b.mu.RUnlock()
			return f()
		}
		b.mu.RUnlock()
		b.mu.Lock()
		err := b.catchUp(ctx)
		b.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// catchUp applies the entries above the head, which is at most one unless the store failed in between. Called with b.mu held.
func (b *namebook) catchUp(ctx context.Context) error {
	if b.ready {
		return nil
	}
	if err := b.begin(ctx); err != nil {
		return err
	}
	for more := true; more; {
		var records []store.Record
		var err error
		if records, more, err = b.store.ListRecords(ctx, prefixNameLog, entryKey(b.head.number+1), catchUpAtATime); err != nil {
			return err
		}
		for _, r := range records {
			e, err := names.Decode(b.id, r.Value)
			if err != nil || r.Key != entryKey(b.head.number+1) || e.Number != b.head.number+1 || e.Previous != b.head.hash {
				return fmt.Errorf("%w: entry %d of the log of names: %v", store.ErrCorrupt, b.head.number+1, err)
			}
			if err := b.apply(ctx, &e, r.Value); err != nil {
				return err
			}
		}
	}
	b.ready = true
	return nil
}

// begin reads where the log is, and makes it if there is none.
func (b *namebook) begin(ctx context.Context) error {
	if b.id == (names.LogID{}) { // written once, so that it can be read without the lock after a first read
		id, err := b.readID(ctx)
		if err != nil {
			return err
		}
		b.id = id
	}
	b.head = headRecord{hash: b.id}
	r, err := b.store.GetRecord(ctx, keyNameHead)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	b.head, err = decodeHead(r)
	return err
}

func (b *namebook) readID(ctx context.Context) (id names.LogID, err error) {
	r, err := b.store.GetRecord(ctx, keyNameID)
	if errors.Is(err, store.ErrNotFound) {
		rand.Read(id[:])
		_, err = b.store.PutRecord(ctx, keyNameID, id[:], 0)
		return id, err
	}
	if err != nil {
		return id, err
	}
	if len(r.Value) != len(id) {
		return id, corrupt(r)
	}
	return names.LogID(r.Value), nil
}

// apply makes what is derived from the log follow an entry that is in it.
func (b *namebook) apply(ctx context.Context, e *names.Entry, encoded []byte) error {
	if err := b.applyName(ctx, e); err != nil {
		return err
	}
	if _, err := b.store.PutRecord(ctx, historyKey(e.Name, e.Number), []byte{1}, 0); err != nil && !errors.Is(err, store.ErrChanged) {
		return err
	}
	if err := b.applyKeys(ctx, e); err != nil {
		return err
	}
	head := headRecord{number: e.Number, hash: names.Hash(encoded), time: e.Time, version: b.head.version}
	version, err := b.store.PutRecord(ctx, keyNameHead, head.append(nil), head.version)
	if err != nil {
		return err
	}
	head.version = version
	b.head = head
	return nil
}

func (b *namebook) applyName(ctx context.Context, e *names.Entry) error {
	n, err := b.name(ctx, e.Name)
	if err != nil || n.Entry >= e.Number {
		return err
	}
	n.State, n.time = n.After(e), e.Time
	_, err = b.store.PutRecord(ctx, prefixName+e.Name, n.append(nil), n.version)
	return err
}

func (b *namebook) applyKeys(ctx context.Context, e *names.Entry) error {
	switch e.Kind {
	case names.Claim:
		k, err := b.key(ctx, &e.New)
		if err == nil && k.client != e.New {
			k, err = b.key(ctx, &k.client)
		}
		if err != nil || k.entry >= e.Number {
			return err
		}
		k.entry, k.claimed = e.Number, k.claimed+1
		_, err = b.store.PutRecord(ctx, clientKey(&k.client), k.append(nil), k.version)
		return err
	case names.Rotate:
		old, err := b.key(ctx, &e.Old)
		if err != nil {
			return err
		}
		k, err := b.key(ctx, &e.New)
		if err != nil || k.version != 0 {
			return err
		}
		k.entry, k.client = e.Number, old.client
		_, err = b.store.PutRecord(ctx, clientKey(&e.New), k.append(nil), 0)
		return err
	}
	return nil
}

// change appends an entry for caller, and returns it encoded. A change that is the last one of its name already is answered with its entry.
func (b *namebook) change(ctx context.Context, e names.Entry, caller names.Key, now time.Time) (encoded []byte, err error) {
	ctx = context.WithoutCancel(ctx) // whether it has happened must not be left open
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.catchUp(ctx); err != nil {
		return nil, err
	}
	e.Log = b.id
	n, err := b.name(ctx, e.Name)
	if err != nil {
		return nil, err
	}
	if e.Kind != names.Claim {
		if n.Version == 0 {
			return nil, names.ErrUnclaimed
		}
		e.Old = n.Key
	}
	if again, err := b.repeated(ctx, &e, n.Entry); again != nil || err != nil {
		return again, err
	}
	if e.Kind == names.Rotate && caller != e.Old && caller != e.New {
		return nil, errNotHolder
	}
	if err := n.Allows(&e.Change, &e.OldSignature, &e.NewSignature); err != nil {
		return nil, err
	}
	if err := b.mayHave(ctx, &e); err != nil {
		return nil, err
	}
	if !b.rates.change(e.Kind, now) {
		return nil, errNameRate
	}
	e.Number, e.Previous, e.Time = b.head.number+1, b.head.hash, max(uint64(max(now.UnixMilli(), 0)), b.head.time)
	encoded = e.Encode()
	b.ready = false
	if _, err := b.store.PutRecord(ctx, entryKey(e.Number), encoded, 0); err != nil {
		return nil, err
	}
	// The change has happened. What the rest did not do now is done before the next call.
	b.ready = b.apply(ctx, &e, encoded) == nil
	return encoded, nil
}

// repeated returns the name's last entry if it is of the very same change.
func (b *namebook) repeated(ctx context.Context, e *names.Entry, last uint64) ([]byte, error) {
	if last == 0 {
		return nil, nil
	}
	encoded, err := b.entry(ctx, last)
	if err != nil {
		return nil, err
	}
	was, err := names.Decode(b.id, encoded)
	if err != nil {
		return nil, fmt.Errorf("%w: entry %d of the log of names: %v", store.ErrCorrupt, last, err)
	}
	same := *e
	same.Number, same.Previous, same.Time = was.Number, was.Previous, was.Time
	if same.Kind == names.Rotate {
		same.Old = was.Old // the name has its new key by now
	}
	if same != was {
		return nil, nil
	}
	return encoded, nil
}

// mayHave says whether the key that a name goes to may have it.
func (b *namebook) mayHave(ctx context.Context, e *names.Entry) error {
	if e.Kind == names.Revoke {
		return nil
	}
	to, err := b.key(ctx, &e.New)
	if err != nil {
		return err
	}
	if e.Kind == names.Rotate {
		from, err := b.key(ctx, &e.Old)
		if err == nil && to.version != 0 && to.client != from.client {
			err = names.ErrClient
		}
		return err
	}
	if to.client != e.New {
		if to, err = b.key(ctx, &to.client); err != nil {
			return err
		}
	}
	if to.claimed >= b.maxClaims {
		return fmt.Errorf("%w: %d were claimed", errNames, to.claimed)
	}
	return nil
}
