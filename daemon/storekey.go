package daemon

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"quicnprotochat/store/hotlog"
)

// readStoreKey reads the key that the store is encrypted with: 32 bytes as they are, or in 64 hexadecimal digits, in a file that nobody else may read. It returns
// nil if path is empty. The caller wipes it.
func readStoreKey(path string) (key []byte, err error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: store key: %w", ErrConfig, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("%w: store key: %w", ErrConfig, err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%w: store key: %s has mode %04o; run chmod 600 on it", ErrConfig, path, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(f, 1024))
	defer clear(text)
	if err != nil {
		return nil, fmt.Errorf("%w: store key: %w", ErrConfig, err)
	}
	key = make([]byte, hotlog.KeySize)
	switch digits := trimNewline(text); {
	case len(text) == hotlog.KeySize:
		copy(key, text)
		return key, nil
	case len(digits) == hex.EncodedLen(hotlog.KeySize):
		if _, err := hex.Decode(key, digits); err == nil {
			return key, nil
		}
	}
	clear(key)
	return nil, fmt.Errorf("%w: store key: %s holds neither %d bytes nor %d hexadecimal digits", ErrConfig, path, hotlog.KeySize, 2*hotlog.KeySize)
}

func trimNewline(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == '\r') {
		b = b[:len(b)-1]
	}
	return b
}
