package wal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
)

const (
	magic      = "qnpcwal1"
	headerSize = 8 + 8 + 16 + 4 + 16 + 4
	firstBatch = 4096 // offset of the first batch
	lastPage   = 4096 // size of what the second copy stands at the start of

	flagEncrypted = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is what a segment says of itself, and what its frames are checked with.
type header struct {
	number uint64
	salt   [16]byte
	sums   [2]uint32   // CRC-32C of each half of the salt: what the checksums of heads and of payloads go on from
	aead   cipher.AEAD // nil: not encrypted
}

// newHeader returns a header with a new salt. key is of 32 bytes, or nil.
func newHeader(number uint64, key []byte) (header, error) {
	h := header{number: number}
	rand.Read(h.salt[:])
	return h, h.prepare(key)
}

func (h *header) prepare(key []byte) error {
	h.sums = [2]uint32{crc32.Checksum(h.salt[:8], castagnoli), crc32.Checksum(h.salt[8:], castagnoli)}
	if key == nil {
		return nil
	}
	k, err := hkdf.Key(sha256.New, key, h.salt[:], "quicnprotochat log segment", 32)
	if err != nil {
		return err
	}
	defer clear(k)
	block, err := aes.NewCipher(k)
	if err != nil {
		return err
	}
	h.aead, err = cipher.NewGCM(block)
	return err
}

// checkNonce is no frame's offset.
var checkNonce = bytes.Repeat([]byte{0xff}, 12)

func (h *header) append(b []byte) []byte {
	start := len(b)
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint64(b, h.number)
	b = append(b, h.salt[:]...)
	if h.aead == nil {
		b = binary.LittleEndian.AppendUint32(b, 0)
		b = append(b, make([]byte, 16)...)
	} else {
		b = binary.LittleEndian.AppendUint32(b, flagEncrypted)
		b = h.aead.Seal(b, checkNonce, nil, b[start:])
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// parseHeader reads one copy of a header. ok is false if it is none; the error is ErrKey if it was written with another key.
func parseHeader(b, key []byte) (h header, ok bool, err error) {
	if len(b) < headerSize || string(b[:8]) != magic {
		return h, false, nil
	}
	b = b[:headerSize]
	at := headerSize - 4
	if crc32.Checksum(b[:at], castagnoli) != binary.LittleEndian.Uint32(b[at:]) {
		return h, false, nil
	}
	h.number = binary.LittleEndian.Uint64(b[8:])
	copy(h.salt[:], b[16:])
	flags := binary.LittleEndian.Uint32(b[32:])
	if flags&^flagEncrypted != 0 || (flags == flagEncrypted) != (key != nil) {
		return h, false, ErrKey
	}
	if err := h.prepare(key); err != nil {
		return h, false, err
	}
	if h.aead != nil {
		if _, err := h.aead.Open(nil, checkNonce, b[36:52], b[:36]); err != nil {
			return h, false, ErrKey
		}
	}
	return h, true, nil
}
