package client

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"quicnprotochat/certs"
	"quicnprotochat/mls"
)

// The state directory (0700) holds two files, both 0600:
//
//	identity.key  the Ed25519 key, PKCS #8 in PEM
//	state.db      everything else, in the buckets below; one transaction a step
const (
	keyFile   = "identity.key"
	stateFile = "state.db"

	// stateVersion is the format of state.db; a newer one is refused.
	stateVersion = 3 // 1 was of a time when the server did not order groups
	// stateBefore is the one that is brought up to date when it is opened: its bucketSent holds group ids, and it has no bucketLastResort.
	stateBefore = 2
	// newStatePattern names a state.db that is being made; an init that was killed may leave one.
	newStatePattern = ".state-*"
	// lockWait is how long to wait for another process to leave the directory.
	lockWait = 500 * time.Millisecond
)

var (
	bucketMeta        = []byte("meta")        // "version", "server", "names " and a pin
	bucketPins        = []byte("pins")        // server address: pin (32 bytes)
	bucketTickets     = []byte("tickets")     // server name: TLS session, secret
	bucketKeyPackages = []byte("keypackages") // KeyPackageRef: mls.KeyPackageBundle, secret
	bucketLastResort  = []byte("lastresort")  // KeyPackageRef: lastResortRecord, of those in keypackages that are of last resort
	bucketGroups      = []byte("groups")      // group id: groupRecord
	bucketMLS         = []byte("mls")         // group id: bucket of mls.Record, secret
	bucketCursors     = []byte("cursors")     // "q", or "s" if it is shared, and group id: seq (8 bytes)
	bucketOutbox      = []byte("outbox")      // number (8 bytes, big endian): outboxRecord
	bucketSent        = []byte("sent")        // MessageID of what stands in a group's order, or will, and is ours: its key in the outbox, if it is still there
	bucketInvites     = []byte("invites")     // MessageID: Welcome
	bucketUnread      = []byte("unread")      // number (8 bytes, big endian): Message
	bucketHeld        = []byte("held")        // number (8 bytes, big endian): heldRecord, messages from an epoch that has not begun

	allBuckets = [][]byte{bucketMeta, bucketPins, bucketTickets, bucketKeyPackages, bucketLastResort, bucketGroups, bucketMLS,
		bucketCursors, bucketOutbox, bucketSent, bucketInvites, bucketUnread, bucketHeld}

	metaVersion = []byte("version")
	metaServer  = []byte("server")
)

// state is the open state.db. bbolt serialises writers, so it needs no lock of its own.
type state struct {
	db *bolt.DB
}

// createState makes state.db in dir, which must not have one. It is made under another name and gets its own when it is complete and on disk: a crash or
// a full disk leaves none that is neither usable nor absent.
func createState(dir, server string, pin *certs.Pin) error {
	f, err := os.CreateTemp(dir, newStatePattern)
	if err != nil {
		return stateError(dir, err)
	}
	fresh := f.Name()
	defer os.Remove(fresh)
	if err := f.Close(); err != nil {
		return stateError(dir, err)
	}
	if err := fillState(fresh, server, pin); err != nil {
		return stateError(dir, err)
	}
	// A link fails if the name exists by now; a rename would replace what another process made meanwhile.
	if err := os.Link(fresh, filepath.Join(dir, stateFile)); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%w: %s", ErrStateExists, dir)
		}
		return stateError(dir, err)
	}
	if err := certs.SyncDir(dir); err != nil {
		return stateError(dir, err)
	}
	return nil
}

// fillState makes an empty state in the file at path.
func fillState(path, server string, pin *certs.Pin) error {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: lockWait})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, b := range allBuckets {
			if _, err := tx.CreateBucketIfNotExists(b); err != nil {
				return err
			}
		}
		meta := tx.Bucket(bucketMeta)
		if err := meta.Put(metaVersion, []byte{stateVersion}); err != nil {
			return err
		}
		if pin != nil {
			if err := tx.Bucket(bucketPins).Put([]byte(server), pin[:]); err != nil {
				return err
			}
		}
		return meta.Put(metaServer, []byte(server))
	})
	if cerr := db.Close(); err == nil {
		err = cerr
	}
	return err
}

func openState(dir string) (*state, error) {
	path := filepath.Join(dir, stateFile)
	if _, err := os.Stat(path); err != nil {
		return nil, stateError(dir, err)
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: lockWait})
	if err != nil {
		return nil, stateError(dir, err)
	}
	s := &state{db: db}
	if err := s.upToDate(path); err != nil {
		db.Close()
		return nil, err
	}
	return s, nil
}

// upToDate looks at the format, and makes today's of the one before.
func (s *state) upToDate(path string) error {
	old := false
	err := s.view(func(tx *bolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		if meta == nil || len(meta.Get(metaVersion)) != 1 {
			return fmt.Errorf("%w: %s holds no version", ErrState, path)
		}
		v := meta.Get(metaVersion)[0]
		if old = v == stateBefore; v != stateVersion && !old {
			return fmt.Errorf("%w: %s has format %d, this program knows %d", ErrState, path, v, stateVersion)
		}
		return nil
	})
	if err != nil || !old {
		return err
	}
	return s.update(func(tx *bolt.Tx) error {
		outbox, sent := tx.Bucket(bucketOutbox), tx.Bucket(bucketSent)
		err := outbox.ForEach(func(k, _ []byte) error {
			var rec outboxRecord
			if _, err := getJSON(outbox, k, &rec); err != nil || rec.Kind == outboxCreate {
				return err
			}
			return sent.Put(rec.ID[:], k)
		})
		if err == nil {
			_, err = tx.CreateBucketIfNotExists(bucketLastResort)
		}
		if err != nil {
			return err
		}
		return tx.Bucket(bucketMeta).Put(metaVersion, []byte{stateVersion})
	})
}

// stateError gives what the file system or bbolt says one of our names.
func stateError(dir string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %s", ErrNoState, dir)
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("%w: %s", ErrStateInUse, dir)
	default:
		return fmt.Errorf("%w: %s: %w", ErrState, dir, err)
	}
}

func (s *state) close() error { return s.db.Close() }

// update runs one transaction: all of f, synced to disk, or nothing. What the file system says (a full disk, one that became read-only) is ErrState.
func (s *state) update(f func(tx *bolt.Tx) error) error {
	err := s.db.Update(f)
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	return err
}

func (s *state) view(f func(tx *bolt.Tx) error) error { return s.db.View(f) }

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// appendJSON stores v under the bucket's next number, which it returns as a key.
func appendJSON(b *bolt.Bucket, v any) (key []byte, err error) {
	n, err := b.NextSequence()
	if err != nil {
		return nil, err
	}
	key = number(n)
	return key, putJSON(b, key, v)
}

func putJSON(b *bolt.Bucket, key []byte, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return b.Put(key, data)
}

// getJSON reads the value at key; found is false if there is none.
func getJSON(b *bolt.Bucket, key []byte, v any) (found bool, err error) {
	data := b.Get(key)
	if data == nil {
		return false, nil
	}
	if err := json.Unmarshal(data, v); err != nil {
		return true, fmt.Errorf("%w: record %x: %w", ErrState, key, err)
	}
	return true, nil
}

// countKeys counts what stands in b. Bucket.Stats would not see what the transaction itself has put there.
func countKeys(b *bolt.Bucket) (n int) {
	c := b.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		n++
	}
	return n
}

// cursorKey is the name of a queue's cursor: bbolt has no empty keys, and the inbox has an empty name.
func cursorKey(q Queue) []byte {
	if q.Shared {
		return append([]byte("s"), q.Group...)
	}
	return append([]byte("q"), q.Group...)
}

func getCursor(tx *bolt.Tx, q Queue) uint64 {
	v := tx.Bucket(bucketCursors).Get(cursorKey(q))
	if len(v) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(v)
}

func putCursor(tx *bolt.Tx, q Queue, seq uint64) error {
	return tx.Bucket(bucketCursors).Put(cursorKey(q), number(seq))
}

// saveGroup writes what changed in g since it was last saved. The caller tells g that it is saved (Group.Saved) after the commit of tx.
func saveGroup(tx *bolt.Tx, g *mls.Group) error {
	b, err := tx.Bucket(bucketMLS).CreateBucketIfNotExists(g.GroupID())
	if err != nil {
		return err
	}
	for _, r := range g.Changes() {
		if r.Value == nil {
			err = b.Delete([]byte(r.Key))
		} else {
			err = b.Put([]byte(r.Key), r.Value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// loadGroup reads a group's records.
func loadGroup(tx *bolt.Tx, id string) ([]mls.Record, error) {
	b := tx.Bucket(bucketMLS).Bucket([]byte(id))
	if b == nil {
		return nil, fmt.Errorf("%w: %x", ErrUnknownGroup, id)
	}
	var records []mls.Record
	err := b.ForEach(func(k, v []byte) error {
		records = append(records, mls.Record{Key: string(k), Value: append([]byte{}, v...)})
		return nil
	})
	return records, err
}
