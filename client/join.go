package client

import (
	"encoding/hex"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"quicnprotochat/mls"
)

// Invites is how many Welcomes wait for Join.
func (a *Account) Invites() (n int, err error) {
	err = a.state.view(func(tx *bolt.Tx) error {
		n = tx.Bucket(bucketInvites).Stats().KeyN
		return nil
	})
	return n, err
}

// Join accepts the Welcomes that have come and returns the groups joined. name, if not empty, is the local name of the first; the
// others are called by the beginning of their id. The init key of a used single-use KeyPackage is deleted with the step that uses it (requirement 22).
// A Welcome that cannot be used is dropped, and its error joined to the result. One to a group that this account is in, as far as it knows, is kept (ErrRejoin), and only
// accepted with again: it may be that the account was removed and added anew while it was away, or that somebody who knows the group's id made another group of that id.
func (a *Account) Join(name string, again bool) (joined []Group, failed error) {
	if name != "" {
		if err := checkName(name); err != nil {
			return nil, err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for after := []byte{}; ; {
		var key, welcome []byte
		err := a.state.view(func(tx *bolt.Tx) error {
			k, v := tx.Bucket(bucketInvites).Cursor().Seek(after)
			key, welcome = append(key, k...), append(welcome, v...)
			return nil
		})
		if err != nil {
			return joined, err
		}
		if len(key) == 0 {
			return joined, failed
		}
		g, err := a.accept(key, welcome, name, again)
		switch {
		case err == nil:
			joined = append(joined, g)
			name = ""
		case errors.Is(err, ErrGroupExists), errors.Is(err, ErrState):
			return joined, err // the name is taken, or the disk is full: the invitation stays
		case errors.Is(err, ErrRejoin):
			failed = errors.Join(failed, err)
			after = append(key, 0)
		default:
			failed = errors.Join(failed, fmt.Errorf("invitation: %w", err))
			if err := a.state.update(func(tx *bolt.Tx) error { return tx.Bucket(bucketInvites).Delete(key) }); err != nil {
				return joined, err
			}
		}
	}
}

// accept joins one group: the MLS state, its name, the used KeyPackage and the Welcome change in one transaction.
func (a *Account) accept(key, welcome []byte, name string, again bool) (Group, error) {
	var g *mls.Group
	var rec groupRecord
	err := a.state.update(func(tx *bolt.Tx) error {
		ref, bundle, err := bundleFor(tx, welcome)
		if err != nil {
			return err
		}
		defer bundle.Wipe()
		if g, err = mls.Join(welcome, bundle, a.mlsID, mls.JoinOptions{Policy: policy()}); err != nil {
			return err
		}
		id := string(g.GroupID())
		var old groupRecord
		if found, err := getJSON(tx.Bucket(bucketGroups), []byte(id), &old); err != nil {
			return err
		} else if found && !old.Removed && !again {
			return fmt.Errorf("%w: %s", ErrRejoin, old.Name)
		} else if found && name == "" {
			name = old.Name
		}
		if len(id) < minGroupID || len(id) > maxGroupID {
			return fmt.Errorf("%w: Welcome to a group whose id has %d bytes", ErrInvalid, len(id))
		}
		if name == "" {
			if name, err = freeName(tx, id); err != nil {
				return err
			}
		}
		rec.Name = name
		if err := putNewGroup(tx, id, name); err != nil {
			return err
		}
		if err := dropPending(tx, id); err != nil {
			return err
		}
		if tx.Bucket(bucketMLS).Bucket([]byte(id)) != nil {
			if err := tx.Bucket(bucketMLS).DeleteBucket([]byte(id)); err != nil {
				return err
			}
		}
		if err := a.retryHeld(tx, g); err != nil { // what came for this time as a member while the last had not ended here
			return err
		}
		if err := saveGroup(tx, g); err != nil {
			return err
		}
		if err := useKeyPackage(tx, ref); err != nil {
			return err
		}
		return tx.Bucket(bucketInvites).Delete(key)
	})
	if err != nil {
		return Group{}, err
	}
	g.Saved()
	id := string(g.GroupID())
	a.groups[id] = g
	close(a.joined)
	a.joined = make(chan struct{})
	return describe(id, rec, g), nil
}

// freeName is the beginning of a group's id that no other group is called: whoever invites chooses the id, and a name that is taken would keep all later invitations waiting.
func freeName(tx *bolt.Tx, id string) (string, error) {
	taken, err := otherNames(tx, id)
	digits := hex.EncodeToString([]byte(id))
	n := 8
	for n < len(digits) && taken[digits[:n]] {
		n++
	}
	return digits[:n], err
}

// bundleFor finds the private half of the KeyPackage that a Welcome was made for.
func bundleFor(tx *bolt.Tx, welcome []byte) (ref []byte, b *mls.KeyPackageBundle, err error) {
	refs, err := mls.WelcomeRefs(welcome)
	if err != nil {
		return nil, nil, err
	}
	for _, ref := range refs {
		if secret := tx.Bucket(bucketKeyPackages).Get(ref); secret != nil {
			b := new(mls.KeyPackageBundle)
			return ref, b, b.UnmarshalBinary(secret)
		}
	}
	return nil, nil, fmt.Errorf("%w: Welcome for a KeyPackage that is not here", ErrInvalid)
}
