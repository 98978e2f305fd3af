// Package wal is a log of records in segments of fixed size, which one writer appends to in batches that share a sync, and which anybody reads by
// position.
//
// # Files
//
// A segment is a file NUMBER.seg (16 hexadecimal digits). It is filled with zeros, named and synced before it is used, and its room is used again after it
// was retired: a write never makes a file longer, so a sync has no metadata to wait for.
//
// A segment begins with its header, of which a copy stands at the start of its last 4,096 bytes: "qnpcwal1", number (8 bytes), salt (16, random, new for each use of the file),
// flags (4; 1 is encrypted), a key check (16, zero if not encrypted) and the CRC-32C of all that. Batches begin at 4,096. Integers are little endian.
//
// A record stands in a frame: length (4; the top bit marks the start of a batch), CRC-32C of the length (4), then either the CRC-32C of the payload (4)
// and the payload, where these checksums go on from the CRC-32C of the salt's first half and of its second, each exclusive-or offset; or the payload and a tag of 16 bytes: AES-256-GCM with a key for this use of the segment, derived from
// the log's key and the salt by HKDF-SHA256, the frame's offset as nonce and the length as associated data. What an earlier use left fits no salt, and is never taken for a record.
//
// A batch starts with a mark of 16 bytes: up to where this segment was synced when the batch was written, and where the segment before
// this one ends. By these a reader tells damage from a crash: a bad frame that a later mark says was synced is damage, and is stepped over and reported;
// otherwise the log ends there, and what may stand behind it was never acknowledged. (So damage to what no later batch vouches for, the last
// synced batch before a crash, looks like the end. Closing a log writes a last mark.) A record is there whole or not at all; a batch is not atomic.
package wal
