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
}

// Create makes an account in dir: a fresh identity and an empty state, bound to the server at addr (host:port). ErrStateExists if
// there is one; a failure leaves nothing behind that blocks another try.
func Create(dir, addr string) (certs.Identity, error) {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return certs.Identity{}, fmt.Errorf("%w: server address %q: want host:port", ErrInvalid, addr)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return certs.Identity{}, stateError(dir, err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return certs.Identity{}, stateError(dir, err)
	}
	path := filepath.Join(dir, keyFile)
	key, err := certs.LoadIdentityKey(path) // left by an init that was interrupted
	if errors.Is(err, fs.ErrNotExist) {
		if key, err = certs.NewIdentityKey(); err == nil {
			err = certs.SaveIdentityKey(path, key)
		}
	}
	if err != nil {
		return certs.Identity{}, stateError(dir, err)
	}
	return certs.IdentityOf(key), createState(dir, addr)
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
	return a, err
}

// Close releases the directory.
func (a *Account) Close() error { return a.state.close() }

// Identity is who the account is.
func (a *Account) Identity() certs.Identity { return a.id }

// Server is the address that the account was made for.
func (a *Account) Server() string { return a.server }
