package client

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"quicnprotochat/certs"
	"quicnprotochat/mls"
)

// groupIDSize is the length of the random ids that we give to groups, in bytes. An id says nothing about the group.
const groupIDSize = 16

// maxNameSize bounds a group's local name, bytes.
const maxNameSize = 64

// groupRecord is what the state keeps of a group beside its MLS state.
type groupRecord struct {
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	Removed bool      `json:"removed,omitempty"` // we are no longer a member
	Wedged  uint64    `json:"wedged,omitempty"`  // place of a commit of our epoch that cannot be processed; 0: none
}

// Group describes one of the account's groups. The name is local: others may call the group something else.
type Group struct {
	ID      string // raw bytes
	Name    string
	Epoch   uint64
	Members []certs.Identity
	Removed bool
	Wedged  bool // a commit could not be processed: see Report and Mend
}

// HexID is the printed form of the id.
func (g Group) HexID() string { return hex.EncodeToString([]byte(g.ID)) }

// checkName refuses names that are empty, too long, not printable or that could be taken for the id of a group.
func checkName(name string) error {
	switch {
	case name == "" || len(name) > maxNameSize:
		return fmt.Errorf("%w: a group name has 1 to %d bytes", ErrInvalid, maxNameSize)
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }):
		return fmt.Errorf("%w: group name %q has characters that do not print", ErrInvalid, name)
	case len(name) == 2*groupIDSize && isHex(name):
		return fmt.Errorf("%w: group name %q looks like a group id", ErrInvalid, name)
	}
	return nil
}

func isHex(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil
}

// CreateGroup makes a group with the account as its only member. The server learns of it with the next Flush.
func (a *Account) CreateGroup(name string) (Group, error) {
	if err := checkName(name); err != nil {
		return Group{}, err
	}
	id := make([]byte, groupIDSize)
	if _, err := rand.Read(id); err != nil {
		return Group{}, err
	}
	g, err := mls.NewGroup(id, a.mlsID, mls.GroupOptions{Policy: policy()})
	if err != nil {
		return Group{}, err
	}
	info, err := g.GroupInfo(mls.GroupInfoOptions{})
	if err != nil {
		return Group{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	err = a.state.update(func(tx *bolt.Tx) error {
		if err := putNewGroup(tx, string(id), name); err != nil {
			return err
		}
		if err := putOutbox(tx, outboxRecord{Kind: outboxCreate, Group: id, Epoch: g.Epoch(), Info: info}); err != nil {
			return err
		}
		return saveGroup(tx, g)
	})
	if err != nil {
		return Group{}, err
	}
	g.Saved()
	a.groups[string(id)] = g
	return describe(string(id), groupRecord{Name: name}, g), nil
}

// putNewGroup records a group under a name that no other has.
func putNewGroup(tx *bolt.Tx, id, name string) error {
	taken, err := otherNames(tx, id)
	if err != nil {
		return err
	}
	if taken[name] {
		return fmt.Errorf("%w: %q", ErrGroupExists, name)
	}
	return putJSON(tx.Bucket(bucketGroups), []byte(id), groupRecord{Name: name, Created: time.Now().UTC()})
}

// otherNames are what the groups but one are called.
func otherNames(tx *bolt.Tx, but string) (map[string]bool, error) {
	names := make(map[string]bool)
	b := tx.Bucket(bucketGroups)
	err := b.ForEach(func(id, _ []byte) error {
		var rec groupRecord
		if _, err := getJSON(b, id, &rec); err != nil || string(id) == but {
			return err
		}
		names[rec.Name] = true
		return nil
	})
	return names, err
}

func describe(id string, rec groupRecord, g *mls.Group) Group {
	d := Group{ID: id, Name: rec.Name, Removed: rec.Removed, Wedged: rec.Wedged != 0, Epoch: g.Epoch()}
	for _, m := range g.Members() {
		if member, err := certs.IdentityFromBytes(m.Credential.Identity); err == nil {
			d.Members = append(d.Members, member)
		}
	}
	return d
}

// Groups lists the account's groups, by name.
func (a *Account) Groups() ([]Group, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []Group
	err := a.state.view(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketGroups)
		return b.ForEach(func(k, _ []byte) error {
			var rec groupRecord
			if _, err := getJSON(b, k, &rec); err != nil {
				return err
			}
			g, err := a.load(tx, string(k))
			if err != nil {
				return err
			}
			out = append(out, describe(string(k), rec, g))
			return nil
		})
	})
	slices.SortFunc(out, func(x, y Group) int { return strings.Compare(x.Name, y.Name) })
	return out, err
}

// Group finds a group by its local name, its id in hexadecimal, or the beginning (at least 6 digits) of that. Else ErrUnknownGroup.
func (a *Account) Group(ref string) (Group, error) {
	all, err := a.Groups()
	if err != nil {
		return Group{}, err
	}
	var found []Group
	for _, g := range all {
		if g.Name == ref {
			return g, nil
		}
		if len(ref) >= 6 && strings.HasPrefix(g.HexID(), strings.ToLower(ref)) {
			found = append(found, g)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return Group{}, fmt.Errorf("%w: %q", ErrUnknownGroup, ref)
	default:
		return Group{}, fmt.Errorf("%w: %q begins the ids of %d groups", ErrUnknownGroup, ref, len(found))
	}
}

// load returns a group's MLS state, from memory if it is there. The caller holds a.mu.
func (a *Account) load(tx *bolt.Tx, id string) (*mls.Group, error) {
	if g := a.groups[id]; g != nil {
		return g, nil
	}
	records, err := loadGroup(tx, id)
	if err != nil {
		return nil, err
	}
	g, err := mls.LoadGroup(records, a.mlsID, policy())
	if err != nil {
		return nil, fmt.Errorf("%w: group %x: %w", ErrState, id, err)
	}
	a.groups[id] = g
	return g, nil
}

// change runs one step on a group: f may change g and write to tx; g's changes are saved in the same transaction. If anything fails, the
// copy in memory is dropped, so that the next step begins from what is on disk. The caller holds a.mu.
func (a *Account) change(id string, f func(tx *bolt.Tx, g *mls.Group) error) error {
	var g *mls.Group
	err := a.state.update(func(tx *bolt.Tx) (err error) {
		if g, err = a.load(tx, id); err != nil {
			return err
		}
		if err = f(tx, g); err != nil {
			return err
		}
		return saveGroup(tx, g)
	})
	if err != nil {
		delete(a.groups, id)
		return err
	}
	g.Saved()
	return nil
}

// active is an error if the group is unknown or we were removed from it.
func active(tx *bolt.Tx, id string) error {
	var rec groupRecord
	found, err := getJSON(tx.Bucket(bucketGroups), []byte(id), &rec)
	switch {
	case err != nil:
		return err
	case !found:
		return fmt.Errorf("%w: %x", ErrUnknownGroup, id)
	case rec.Removed:
		return fmt.Errorf("%w: %s", ErrRemoved, rec.Name)
	}
	return nil
}

var errCredential = errors.New("credential is not the signature key")

// checkCredential is the rule for every leaf of every group: the name in the credential is the key that signs, so that whoever knows
// the name can verify the member, whatever the server says (requirements 17 to 19).
func checkCredential(c mls.Credential, signatureKey []byte) error {
	if c.Type != mls.CredentialBasic || len(c.Identity) != certs.IdentitySize || !bytes.Equal(c.Identity, signatureKey) {
		return errCredential
	}
	return nil
}

// policy is how an Account treats its groups: mls's defaults, and its own rule for credentials.
func policy() mls.Policy {
	return mls.Policy{Validate: func(c mls.Credential, ctx mls.CredentialContext) error {
		return checkCredential(c, ctx.SignatureKey)
	}}
}
