package certs

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const privateKeyType = "PRIVATE KEY"

// ErrKeyFile says that a file does not hold the key that it should.
var ErrKeyFile = errors.New("not a usable key file")

// NewIdentityKey makes a fresh Ed25519 private key.
func NewIdentityKey() (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return key, err
}

// SaveIdentityKey writes key to a new file at path (PKCS #8 in PEM, mode 0600 from the first byte, synced). It never overwrites: an
// existing file is fs.ErrExist.
func SaveIdentityKey(path string, key ed25519.PrivateKey) error {
	return savePrivateKey(path, key)
}

// LoadIdentityKey reads what SaveIdentityKey wrote. A file that others may read is refused, as ErrKeyFile.
func LoadIdentityKey(path string) (ed25519.PrivateKey, error) {
	key, err := loadPrivateKey(path)
	if err != nil {
		return nil, err
	}
	ed, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%w: %s holds a %T, want Ed25519", ErrKeyFile, path, key)
	}
	return ed, nil
}

func savePrivateKey(path string, key any) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	defer clear(der)
	block := pem.EncodeToMemory(&pem.Block{Type: privateKeyType, Bytes: der})
	defer clear(block)
	return writeNewFile(path, block)
}

func loadPrivateKey(path string) (any, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%w: %s has mode %04o; run chmod 600 on it", ErrKeyFile, path, info.Mode().Perm())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	defer clear(data)
	block, _ := pem.Decode(data)
	if block == nil || block.Type != privateKeyType {
		return nil, fmt.Errorf("%w: %s has no %s block", ErrKeyFile, path, privateKeyType)
	}
	defer clear(block.Bytes)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrKeyFile, path, err)
	}
	return key, nil
}

// writeNewFile creates path with data, mode 0600, complete or not at all: a crash leaves a temporary file at most.
func writeNewFile(path string, data []byte) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s: %w", path, fs.ErrExist)
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".new-*") // CreateTemp's mode is 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	// A link fails if the name exists by now; a rename would replace another's key.
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	return SyncDir(dir)
}

// SyncDir makes the names in a directory durable, after a file was made, linked or renamed there.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
