package receipt

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
)

// Errors of Verify, and of a Signer.
var (
	// ErrReceipt says that a receipt does not prove what it should.
	ErrReceipt = errors.New("receipt: not a proof of these messages")
	// ErrClosed says that the signer has ended.
	ErrClosed = errors.New("receipt: the signer has ended")
	// ErrInvalid says that a leaf cannot be signed: an unknown kind or status, a group id that is too long.
	ErrInvalid = errors.New("receipt: invalid leaf")
)

// Head is what is signed.
type Head struct {
	Time int64  // milliseconds since 1970, by the service's clock
	Size uint64 // leaves of the tree
	Root Hash
}

// Proof says where in the tree a leaf is: its number, and its inclusion proof, from the leaf up.
type Proof struct {
	Index uint64
	Path  []Hash
}

// Receipt proves that a service accepted some messages.
type Receipt struct {
	Key       [ed25519.PublicKeySize]byte // of the service
	Head      Head
	Signature [ed25519.SignatureSize]byte
	Leaves    []Proof // of the messages, in their order
}

// domain begins what is signed, so that no signature of the key in another use is one of a receipt.
const domain = "quicnprotochat receipt"

// signVersion follows it.
const signVersion = 1

// maxPath is the longest inclusion proof: of a tree of 2^64 leaves.
const maxPath = 64

// signed is what the signature is over.
func (h *Head) signed() []byte {
	b := make([]byte, 0, len(domain)+1+8+8+len(h.Root))
	b = append(b, domain...)
	b = append(b, signVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(h.Time))
	b = binary.BigEndian.AppendUint64(b, h.Size)
	return append(b, h.Root[:]...)
}

// Verify checks that r, signed with key, is for these messages, each of which is a leaf of its own. Errors: ErrReceipt.
func Verify(key ed25519.PublicKey, r *Receipt, leaves []Leaf) error {
	switch {
	case len(key) != ed25519.PublicKeySize || string(key) != string(r.Key[:]):
		return fmt.Errorf("%w: another key", ErrReceipt)
	case len(leaves) == 0 || len(leaves) != len(r.Leaves):
		return fmt.Errorf("%w: %d proofs for %d messages", ErrReceipt, len(r.Leaves), len(leaves))
	case !ed25519.Verify(key, r.Head.signed(), r.Signature[:]):
		return fmt.Errorf("%w: wrong signature", ErrReceipt)
	}
	for i := range leaves {
		p := &r.Leaves[i]
		if !leaves[i].valid() {
			return fmt.Errorf("%w: message %d cannot be a leaf", ErrReceipt, i)
		}
		if i > 0 && p.Index <= r.Leaves[i-1].Index {
			return fmt.Errorf("%w: message %d is leaf %d, after leaf %d", ErrReceipt, i, p.Index, r.Leaves[i-1].Index)
		}
		if !r.Proves(i, &leaves[i]) {
			return fmt.Errorf("%w: message %d is not leaf %d", ErrReceipt, i, p.Index)
		}
	}
	return nil
}

// Proves says whether proof i is for this leaf, under the root as r gives it: Verify says whether that is signed.
func (r *Receipt) Proves(i int, leaf *Leaf) bool {
	root, ok := rootFrom(leaf.hash(), r.Leaves[i].Index, r.Head.Size, r.Leaves[i].Path)
	return ok && root == r.Head.Root
}
