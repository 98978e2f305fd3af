package receipt

import (
	"crypto/sha256"
	"encoding/binary"
)

// Kind says by which call a message was accepted.
type Kind uint8

const (
	// Message is a message for one recipient (enqueueMany).
	Message Kind = iota + 1
	// Post is a message for a group (post).
	Post
	// Commit is a commit that won its epoch (commit).
	Commit
)

// Status says what the service vouches for.
type Status uint8

const (
	// Accepted means that the message lies at Seq with this payload, in an order that the service does not change.
	Accepted Status = iota + 1
	// Known means that at Seq a message with this id lies or lay, which the sender repeated; the service does not say with which payload.
	Known
)

// MaxGroup is the longest group id, bytes.
const MaxGroup = 64

// Leaf is one message that a service accepted.
type Leaf struct {
	Kind      Kind
	Status    Status
	Sender    [32]byte // identity key
	Recipient [32]byte // identity key; of a Message only
	Group     string   // the recipient's queue, of a Message; else the group
	ID        [16]byte
	Payload   Hash // SHA-256; zero if Status is Known
	Seq       uint64
}

// leafVersion begins the content of a leaf.
const leafVersion = 1

// append appends the content of the leaf to b.
func (l *Leaf) append(b []byte) []byte {
	shared := byte(1)
	if l.Kind == Message {
		shared = 0
	}
	b = append(b, leafVersion, byte(l.Kind), byte(l.Status), shared)
	b = append(b, l.Sender[:]...)
	b = append(b, l.Recipient[:]...)
	b = append(b, byte(len(l.Group)))
	b = append(b, l.Group...)
	b = append(b, l.ID[:]...)
	b = append(b, l.Payload[:]...)
	return binary.BigEndian.AppendUint64(b, l.Seq)
}

// valid says whether the content stands for this leaf and no other.
func (l *Leaf) valid() bool {
	return l.Kind >= Message && l.Kind <= Commit && len(l.Group) <= MaxGroup &&
		(l.Kind == Message || l.Recipient == [32]byte{} && l.Group != "") &&
		(l.Status == Accepted || l.Status == Known && l.Payload == Hash{})
}

func (l *Leaf) hash() Hash {
	var room [4 + 32 + 32 + 1 + MaxGroup + 16 + 32 + 8]byte
	return hashLeaf(l.append(room[:0]))
}

// HashPayload is what Leaf.Payload is of an accepted message.
func HashPayload(payload []byte) Hash { return sha256.Sum256(payload) }
