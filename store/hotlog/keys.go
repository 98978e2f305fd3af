package hotlog

import (
	"crypto/sha256"
	"encoding/binary"

	"quicnprotochat/store"
)

// The layout of the tree. Numbers are big-endian. Streams (queues, and the logs of groups) and what they belong to go by names of 16 bytes, a keyed
// hash, so that keys are short and tell nothing; what a name stands for is in the sealed values.
//
//	'L'                                 -> first segment of the log that is to be replayed (8), not sealed
//	'q' object(16) stream(16)           -> meta of a stream
//	'o' object(16)                      -> floor of an owner's forgotten queues (8)
//	'm' stream(16) seq(8)               -> message that left the log
//	'd' bucket(4) id(16)                -> seq (8) of the id of a message that was acknowledged in the tree, not sealed
//	'x' hour(4) stream(16) seq(8)       -> queue that has something to expire in that hour
//
// Kinds 'A' to 'Z' other than L are free for the other parts of the engine; see doc.go.
const (
	kindFirst   = 'L'
	kindMeta    = 'q'
	kindOwner   = 'o'
	kindMessage = 'm'
	kindID      = 'd'
	kindExpiry  = 'x'
)

// name is a keyed hash of an identity, a group, a queue or a message id.
type name = [16]byte

// names makes them; the secret is the directory's own.
type names struct{ secret [16]byte }

func (n *names) hash(kind byte, parts ...[]byte) (h name) {
	b := make([]byte, 0, 128)
	b = append(b, n.secret[:]...)
	b = append(b, kind)
	for _, p := range parts {
		b = append(b, p...)
	}
	sum := sha256.Sum256(b)
	copy(h[:], sum[:])
	return h
}

// object is the name of what q belongs to: its owner, or, if it is shared, the group.
func (n *names) object(k *objectKey) name {
	if k.group {
		return n.hash('g', k.id[:])
	}
	return n.hash('o', k.id[:])
}

func (n *names) stream(q *store.QueueID) name {
	if q.Shared {
		return n.hash('s', []byte(q.Group))
	}
	return n.hash('q', q.Owner[:], []byte(q.Group))
}

// id is the name of a message id in a stream. The input is one block of SHA-256.
func (n *names) id(stream *name, id *store.MessageID) (h name) {
	var b [48]byte
	copy(b[:], n.secret[:])
	copy(b[16:], stream[:])
	copy(b[32:], id[:])
	sum := sha256.Sum256(b[:])
	copy(h[:], sum[:])
	return h
}

func appendMetaKey(b []byte, object, stream *name) []byte {
	b = append(b, kindMeta)
	b = append(b, object[:]...)
	return append(b, stream[:]...)
}

func appendOwnerKey(b []byte, object *name) []byte {
	return append(append(b, kindOwner), object[:]...)
}

const messageKeySize = 25

func appendMessageKey(b []byte, stream *name, seq uint64) []byte {
	b = append(b, kindMessage)
	b = append(b, stream[:]...)
	return binary.BigEndian.AppendUint64(b, seq)
}

const idKeySize = 21

func appendIDKey(b []byte, bucket uint32, id *name) []byte {
	b = append(b, kindID)
	b = binary.BigEndian.AppendUint32(b, bucket)
	return append(b, id[:]...)
}

const expiryKeySize = 29

// appendExpiryKey is the key of a note that a stream's messages in the tree, up to seq at least, are to be looked at in an hour. Each move to the tree has
// notes of its own, so that removing one, even in a replay, never removes what was noted later.
func appendExpiryKey(b []byte, hour uint32, stream *name, seq uint64) []byte {
	b = append(b, kindExpiry)
	b = binary.BigEndian.AppendUint32(b, hour)
	b = append(b, stream[:]...)
	return binary.BigEndian.AppendUint64(b, seq)
}

// above is the first key above every key that begins with prefix.
func above(prefix []byte) []byte {
	b := append([]byte(nil), prefix...)
	for i := len(b) - 1; i >= 0; i-- {
		b[i]++
		if b[i] != 0 {
			return b[:i+1]
		}
	}
	return nil
}
