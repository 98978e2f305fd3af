package names

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Entry is one change as it stands in the log.
type Entry struct {
	Number   uint64   // 1, 2, 3 ... without a gap
	Previous [32]byte // Hash of the entry before; of the first the log's id
	Time     uint64   // ms since 1970, as the service's clock said; never less than the entry's before
	Change
	OldSignature, NewSignature Signature
}

// MaxEntry is the size of the largest entry, bytes.
const MaxEntry = 2 + 8 + 32 + 8 + 1 + 2 + MaxName + 8 + 2*33 + 2*66

// entryVersion is of the layout.
const entryVersion = 1

// Encode writes the entry as it is stored, sent and hashed:
//
//	struct {
//	    uint16 layout = 1;
//	    uint64 number;
//	    opaque previous[32];
//	    uint64 time;
//	    uint8 kind;
//	    opaque name<V>;
//	    uint64 version;
//	    opaque old_key<V>;        /* empty or 32 bytes */
//	    opaque new_key<V>;        /* empty or 32 bytes */
//	    opaque old_signature<V>;  /* empty or 64 bytes */
//	    opaque new_signature<V>;  /* empty or 64 bytes */
//	} NameEntry;
//
// Log is not part of it: the chain of hashes begins with it.
func (e *Entry) Encode() []byte {
	b := binary.BigEndian.AppendUint16(make([]byte, 0, MaxEntry), entryVersion)
	b = binary.BigEndian.AppendUint64(b, e.Number)
	b = append(b, e.Previous[:]...)
	b = binary.BigEndian.AppendUint64(b, e.Time)
	b = e.append(b)
	b = appendOptional(b, e.OldSignature[:])
	return appendOptional(b, e.NewSignature[:])
}

// Decode takes an entry apart. Its Change is of the right shape; whether it is valid says Audit.
func Decode(log LogID, b []byte) (e Entry, err error) {
	r := reader{b: b}
	if v := binary.BigEndian.Uint16(r.bytes(2)); v != entryVersion {
		r.fail(fmt.Sprintf("entry of layout %d", v))
	}
	e.Log = log
	e.Number = r.uint64()
	copy(e.Previous[:], r.bytes(32))
	e.Time = r.uint64()
	e.Kind = Kind(r.bytes(1)[0])
	e.Name = string(r.vector(MaxName))
	e.Version = r.uint64()
	for _, v := range [][]byte{e.Old[:], e.New[:], e.OldSignature[:], e.NewSignature[:]} {
		if r.optional(v) && string(v) == string(make([]byte, len(v))) {
			r.fail("a key or a signature of zeros")
		}
	}
	switch {
	case r.err == nil && len(r.b) > 0:
		r.fail("more behind the entry")
	case r.err == nil && (e.Number == 0 || e.Time > 1<<62):
		r.fail(fmt.Sprintf("entry %d at %d", e.Number, e.Time))
	case r.err == nil:
		r.err = e.Check()
	}
	if r.err != nil {
		return Entry{}, r.err
	}
	return e, nil
}

// Signed returns ErrSignature unless the keys that e names made it. Whether it is the name's last change, or all of them, is another question.
func (e *Entry) Signed() error { return e.signed(&e.OldSignature, &e.NewSignature) }

// Hash is what the next entry carries: SHA-256 of the encoded entry.
func Hash(encoded []byte) [32]byte { return sha256.Sum256(encoded) }
