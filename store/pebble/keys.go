package pebble

import (
	"encoding/binary"

	"quicnprotochat/store"
)

// The layout of the tree. Numbers are big-endian, so that byte order is number order. A queue is known by a number of 8 bytes that is given
// out once, which keeps the keys of messages short.
//
//	'c'                                  -> number of the next queue (8)
//	'h' owner(32) group(0..64)           -> head of a queue
//	'm' queue(8) seq(8)                  -> message
//	'i' bucket(4) queue(8) id(16)        -> seq (8); a bucket covers bucketWidth
//	'o' owner(32)                        -> counters of an owner
//	'k' owner(32) number(8)              -> single-use KeyPackage: meta
//	'd' owner(32) number(8)              -> its bytes (of a last-resort one too)
//	'l' owner(32)                        -> last-resort KeyPackage: number(8) meta
//	'f' owner(32) fingerprint(32)        -> empty: was put, until its expiry
//	'u' owner(32) init key hash(32)      -> fingerprint(32): taken, until its expiry
//	'x' expiry(8) owner(32) fingerprint(32) -> number(8) init key hash(32): what to sweep when
const (
	prefixCounter     = 'c'
	prefixHead        = 'h'
	prefixMessage     = 'm'
	prefixID          = 'i'
	prefixOwner       = 'o'
	prefixPackage     = 'k'
	prefixData        = 'd'
	prefixLastResort  = 'l'
	prefixFingerprint = 'f'
	prefixInitKey     = 'u'
	prefixExpiry      = 'x'
)

var counterKey = []byte{prefixCounter}

func appendHeadKey(b []byte, q *store.QueueID) []byte {
	b = append(b, prefixHead)
	b = append(b, q.Owner[:]...)
	return append(b, q.Group...)
}

func appendMessageKey(b []byte, queue, seq uint64) []byte {
	b = append(b, prefixMessage)
	b = binary.BigEndian.AppendUint64(b, queue)
	return binary.BigEndian.AppendUint64(b, seq)
}

func appendIDKey(b []byte, bucket uint32, queue uint64, id *store.MessageID) []byte {
	b = append(b, prefixID)
	b = binary.BigEndian.AppendUint32(b, bucket)
	b = binary.BigEndian.AppendUint64(b, queue)
	return append(b, id[:]...)
}

func ownerKey(prefix byte, owner *store.Identity) []byte {
	b := make([]byte, 0, 33)
	b = append(b, prefix)
	return append(b, owner[:]...)
}

// ownerEnd is the first key above every key that begins with prefix and owner.
func ownerEnd(prefix byte, owner *store.Identity) []byte {
	b := ownerKey(prefix, owner)
	for i := len(b) - 1; ; i-- {
		b[i]++
		if b[i] != 0 {
			return b
		}
	}
}

func packageKey(prefix byte, owner *store.Identity, number uint64) []byte {
	b := make([]byte, 0, 41)
	b = append(b, prefix)
	b = append(b, owner[:]...)
	return binary.BigEndian.AppendUint64(b, number)
}

func hashKey(prefix byte, owner *store.Identity, hash *[32]byte) []byte {
	b := make([]byte, 0, 65)
	b = append(b, prefix)
	b = append(b, owner[:]...)
	return append(b, hash[:]...)
}

func expiryKey(expiry int64, owner *store.Identity, fingerprint *[32]byte) []byte {
	b := make([]byte, 0, 73)
	b = append(b, prefixExpiry)
	b = binary.BigEndian.AppendUint64(b, uint64(expiry))
	b = append(b, owner[:]...)
	return append(b, fingerprint[:]...)
}
