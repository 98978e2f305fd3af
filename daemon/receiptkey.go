package daemon

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"quicnprotochat/certs"
)

// receiptKeyFile is the file in the data directory with the key that receipts are signed with.
const receiptKeyFile = "receipt.key"

// receiptKey reads that key; it is made at the first start, and kept: receipts are worth as much as the key by which they are checked.
func receiptKey(dir string) (ed25519.PrivateKey, error) {
	path := filepath.Join(dir, receiptKeyFile)
	key, err := certs.LoadIdentityKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		if key, err = certs.NewIdentityKey(); err == nil {
			err = certs.SaveIdentityKey(path, key)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("receipt key: %w", err)
	}
	return key, nil
}
