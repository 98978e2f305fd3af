package names

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
)

// Key is the Ed25519 public key of a client, 32 bytes; the zero Key stands for none.
type Key = [32]byte

// Signature is one of Ed25519; the zero Signature stands for none.
type Signature = [64]byte

// LogID names a log; its service chose it at random.
type LogID = [32]byte

// Kind says what a change does.
type Kind uint8

const (
	// Claim gives a free name to New, which signs.
	Claim Kind = 1
	// Rotate hands a name from Old to New, both of one client, which both sign.
	Rotate Kind = 2
	// Revoke takes a name from Old, which signs, for good.
	Revoke Kind = 3
)

// String is the word that people read.
func (k Kind) String() string {
	switch k {
	case Claim:
		return "claim"
	case Rotate:
		return "rotate"
	case Revoke:
		return "revoke"
	default:
		return fmt.Sprintf("kind %d", uint8(k))
	}
}

// Change is a change of a name, as its keys sign it.
type Change struct {
	Log      LogID // so that it is worth nothing at another service
	Kind     Kind
	Name     string
	Version  uint64 // that the name has after it: 1, 2, 3 ...; so that it is worth nothing a second time
	Old, New Key    // the zero Key where Kind has none
}

// label keeps what is signed here apart from all else that the same keys sign: MLS signs what begins with the vector "MLS 1.0 ..." (R §5.1.2), TLS what begins with 64 spaces.
const label = "quicnprotochat name change v1"

// Statement is what is signed:
//
//	struct {
//	    opaque label<V> = "quicnprotochat name change v1";
//	    opaque log[32];
//	    uint8 kind;
//	    opaque name<V>;
//	    uint64 version;
//	    opaque old_key<V>;  /* empty or 32 bytes */
//	    opaque new_key<V>;  /* empty or 32 bytes */
//	} NameChange;
func (c *Change) Statement() []byte {
	b := appendVector(make([]byte, 0, 256), []byte(label))
	b = append(b, c.Log[:]...)
	return c.append(b)
}

// append writes what a statement and an entry have in common.
func (c *Change) append(b []byte) []byte {
	b = append(b, byte(c.Kind))
	b = appendVector(b, []byte(c.Name))
	b = binary.BigEndian.AppendUint64(b, c.Version)
	b = appendOptional(b, c.Old[:])
	return appendOptional(b, c.New[:])
}

// appendOptional writes v as a vector, an empty one if v is zero.
func appendOptional(b, v []byte) []byte {
	for _, c := range v {
		if c != 0 {
			return appendVector(b, v)
		}
	}
	return appendVector(b, nil)
}

// Sign signs c.
func (c *Change) Sign(key ed25519.PrivateKey) Signature {
	return Signature(ed25519.Sign(key, c.Statement()))
}

// Check returns ErrInvalid for a change that has not the fields of its kind.
func (c *Change) Check() error {
	if err := CheckName(c.Name); err != nil {
		return err
	}
	none := Key{}
	first, old, new := c.Version == 1, c.Old != none, c.New != none
	switch {
	case c.Version == 0:
		return fmt.Errorf("%w: version 0", ErrInvalid)
	case c.Kind == Claim && first && !old && new:
	case c.Kind == Rotate && !first && old && new && c.Old != c.New:
	case c.Kind == Revoke && !first && old && !new:
	default:
		return fmt.Errorf("%w: %v of version %d, old key %v, new key %v", ErrInvalid, c.Kind, c.Version, old, new)
	}
	return nil
}

// signed returns ErrSignature unless both signatures are as the change needs them.
func (c *Change) signed(old, new *Signature) error {
	statement := c.Statement()
	for _, s := range []struct {
		who       string
		key       *Key
		signature *Signature
	}{{"old", &c.Old, old}, {"new", &c.New, new}} {
		needed := *s.key != Key{}
		if !needed && *s.signature != (Signature{}) {
			return fmt.Errorf("%w: a signature of the %s key, which there is none", ErrSignature, s.who)
		}
		if needed && !ed25519.Verify(s.key[:], statement, s.signature[:]) {
			return fmt.Errorf("%w of the %s key", ErrSignature, s.who)
		}
	}
	return nil
}
