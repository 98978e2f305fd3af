package client

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	bolt "go.etcd.io/bbolt"

	"quicnprotochat/certs"
	"quicnprotochat/mls"
)

// suite is the cipher suite of every group and KeyPackage that an Account makes.
const suite = mls.X25519_AES128GCM_SHA256_Ed25519

// Account is one identity with its state directory. Its methods may be called from several goroutines; each is one step. Only one
// process can have a directory open.
type Account struct {
	dir    string
	server string
	key    ed25519.PrivateKey
	id     certs.Identity
	mlsID  *mls.Identity
	state  *state
	log    *slog.Logger

	// mu owns groups and what is in them: mls.Group is not safe for concurrent use.
	mu     sync.Mutex
	groups map[string]*mls.Group // loaded groups, by id
	joined chan struct{}         // closed and replaced when a group is joined

	// sending owns the outbox: one flush at a time, so that messages keep their order.
	sending sync.Mutex

	// renewing owns which last-resort KeyPackage is published: the last one that the server took is the last that is noted.
	renewing sync.Mutex
}

// Create makes an account in dir: a fresh identity and an empty state, bound to the server at addr (host:port), whose key must be pin unless that is
// nil. A directory that has other things in it must be private already. ErrStateExists if there is an account; a failure leaves nothing behind that
// blocks another try.
func Create(dir, addr string, pin *certs.Pin) (certs.Identity, error) {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return certs.Identity{}, fmt.Errorf("%w: server address %q: want host:port", ErrInvalid, addr)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return certs.Identity{}, stateError(dir, err)
	}
	// First of all: a new key beside an old state would make neither usable.
	if _, err := os.Lstat(filepath.Join(dir, stateFile)); err == nil {
		return certs.Identity{}, fmt.Errorf("%w: %s", ErrStateExists, dir)
	}
	if err := makePrivate(dir); err != nil {
		return certs.Identity{}, err
	}
	key, err := makeKey(filepath.Join(dir, keyFile))
	if err != nil {
		return certs.Identity{}, stateError(dir, err)
	}
	return certs.IdentityOf(key), createState(dir, addr, pin)
}

// makePrivate gives dir mode 0700. It does not take a directory away from others who have things in it (a home directory, /tmp).
func makePrivate(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return stateError(dir, err)
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return stateError(dir, err)
	}
	for _, e := range entries {
		if name := e.Name(); name != keyFile && !strings.HasPrefix(name, ".") {
			return fmt.Errorf("%w: %s has mode %04o and other things in it (%s): choose a directory of its own", ErrState, dir, info.Mode().Perm(), name)
		}
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return stateError(dir, err)
	}
	return nil
}

// makeKey makes the identity key at path, or reads the one that an interrupted init left, or that another process has just made.
func makeKey(path string) (ed25519.PrivateKey, error) {
	key, err := certs.LoadIdentityKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if key, err = certs.NewIdentityKey(); err != nil {
		return nil, err
	}
	if err = certs.SaveIdentityKey(path, key); errors.Is(err, fs.ErrExist) {
		return certs.LoadIdentityKey(path)
	}
	return key, err
}

// Open opens the account in dir. Errors: ErrNoState, ErrStateInUse, ErrState.
func Open(dir string, log *slog.Logger) (*Account, error) {
	st, err := openState(dir)
	if err != nil {
		return nil, err
	}
	key, err := certs.LoadIdentityKey(filepath.Join(dir, keyFile))
	if err != nil {
		st.close()
		return nil, stateError(dir, err)
	}
	id := certs.IdentityOf(key)
	mlsID, err := mls.NewBasicIdentity(suite, key, id[:])
	if err != nil {
		st.close()
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	a := &Account{dir: dir, key: key, id: id, mlsID: mlsID, state: st, log: log,
		groups: make(map[string]*mls.Group), joined: make(chan struct{})}
	err = st.view(func(tx *bolt.Tx) error {
		a.server = string(tx.Bucket(bucketMeta).Get(metaServer))
		return nil
	})
	if err != nil {
		st.close()
		return nil, err
	}
	return a, nil
}

// Close releases the directory.
func (a *Account) Close() error { return a.state.close() }

// Identity is who the account is.
func (a *Account) Identity() certs.Identity { return a.id }

// Server is the address that the account was made for.
func (a *Account) Server() string { return a.server }
