package quicrpc

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"quicnprotochat/certs"
)

// ErrKeyFile tells that a file of keys is damaged or readable by others than its owner.
var ErrKeyFile = errors.New("quicrpc: key file")

// Ticket keys. Go's clients use a ticket for at most seven days (RFC 8446 section 4.6.1), so that many keys must open tickets.
const (
	ticketKeyAge  = 24 * time.Hour
	maxTicketKeys = 8
)

// Keys are the secrets that let a server's clients survive its restart: the stateless-reset key (a client learns at once that its old
// connection is gone, RFC 9000 section 10.3), the address-token key (section 8.1.3) and the session-ticket keys (resumption and 0-RTT).
// Safe for concurrent use.
type Keys struct {
	dir   string // empty: kept in memory only
	reset quic.StatelessResetKey
	token quic.TokenGeneratorKey

	mu      sync.Mutex
	tickets []ticketKey // newest first, 1 to maxTicketKeys
}

type ticketKey struct {
	made time.Time
	key  [32]byte
}

const (
	resetFile   = "reset.key"
	tokenFile   = "token.key"
	ticketsFile = "tickets.keys"
)

// LoadKeys reads the keys in dir, and makes those that are missing (dir too, mode 0700): files of mode 0600 that are complete whenever they
// exist. A ticket key older than 24 hours gets a successor; eight are kept. Errors: ErrKeyFile, or the file system's.
func LoadKeys(dir string) (*Keys, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	k := &Keys{dir: dir}
	if err := loadKey(filepath.Join(dir, resetFile), k.reset[:]); err != nil {
		return nil, err
	}
	if err := loadKey(filepath.Join(dir, tokenFile), k.token[:]); err != nil {
		return nil, err
	}
	var err error
	if k.tickets, err = loadTickets(filepath.Join(dir, ticketsFile)); err != nil {
		return nil, err
	}
	if _, err := k.rotate(time.Now()); err != nil {
		return nil, err
	}
	return k, nil
}

// newKeys returns keys that last as long as the process.
func newKeys() (*Keys, error) {
	k := &Keys{}
	fill(k.reset[:])
	fill(k.token[:])
	_, err := k.rotate(time.Now())
	return k, err
}

// rotate puts a fresh ticket key before one that is too old (or made in the future, by a clock that was wrong), and reports whether it did.
func (k *Keys) rotate(now time.Time) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.tickets) > 0 {
		if age := now.Sub(k.tickets[0].made); age >= 0 && age < ticketKeyAge {
			return false, nil
		}
	}
	fresh := ticketKey{made: now}
	fill(fresh.key[:])
	next := append([]ticketKey{fresh}, k.tickets...)
	next = next[:min(len(next), maxTicketKeys)]
	if k.dir != "" {
		if err := saveTickets(filepath.Join(k.dir, ticketsFile), next); err != nil {
			return false, err
		}
	}
	k.tickets = next
	return true, nil
}

// apply makes c use the ticket keys.
func (k *Keys) apply(c *tls.Config) {
	k.mu.Lock()
	defer k.mu.Unlock()
	keys := make([][32]byte, len(k.tickets))
	for i, t := range k.tickets {
		keys[i] = t.key
	}
	c.SetSessionTicketKeys(keys)
	clear(keys)
}

func fill(b []byte) {
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
}

func loadKey(path string, key []byte) error {
	data, err := readSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		fill(key)
		return writeSecret(path, key)
	}
	if err != nil {
		return err
	}
	defer clear(data)
	if len(data) != len(key) {
		return fmt.Errorf("%w: %s holds %d bytes, want %d", ErrKeyFile, path, len(data), len(key))
	}
	copy(key, data)
	return nil
}

// A ticket file holds a line a key, newest first: the time it was made (Unix seconds), a space, 64 hexadecimal digits.
func loadTickets(path string) ([]ticketKey, error) {
	data, err := readSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer clear(data)
	var tickets []ticketKey
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		made, digits, _ := bytes.Cut(lines.Bytes(), []byte(" "))
		seconds, err := strconv.ParseInt(string(made), 10, 64)
		t := ticketKey{made: time.Unix(seconds, 0)}
		if err != nil || len(digits) != hex.EncodedLen(len(t.key)) || len(tickets) == maxTicketKeys {
			return nil, fmt.Errorf("%w: %s, line %d", ErrKeyFile, path, len(tickets)+1)
		}
		if _, err := hex.Decode(t.key[:], digits); err != nil {
			return nil, fmt.Errorf("%w: %s, line %d", ErrKeyFile, path, len(tickets)+1)
		}
		tickets = append(tickets, t)
	}
	return tickets, nil
}

func saveTickets(path string, tickets []ticketKey) error {
	var data []byte
	for _, t := range tickets {
		data = strconv.AppendInt(data, t.made.Unix(), 10)
		data = append(hex.AppendEncode(append(data, ' '), t.key[:]), '\n')
	}
	defer clear(data)
	return writeSecret(path, data)
}

func readSecret(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 || info.Size() > 1<<16 {
		return nil, fmt.Errorf("%w: %s must be a small file that only its owner can read (mode 0600)", ErrKeyFile, path)
	}
	return os.ReadFile(path)
}

// writeSecret replaces path by data, durably and in one step: a crash leaves the old file or the new one.
func writeSecret(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it was renamed
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	return certs.SyncDir(filepath.Dir(path))
}
