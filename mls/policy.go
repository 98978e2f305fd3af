package mls

import (
	"math/bits"
	"time"

	"quicnprotochat/mls/internal/schedule"
)

// Defaults of Policy, R §15.3 and requirement 21.
const (
	DefaultPastEpochs       = 3
	DefaultResumptionEpochs = 16
	DefaultForward          = 1000
	DefaultKept             = 1000
	DefaultMaxProposals     = 4096
)

// Framing chooses how handshake messages travel.
type Framing int

// The framings. FramingDefault is what the policy says, and there private.
const (
	FramingDefault Framing = iota
	FramingPrivate         // encrypted
	FramingPublic          // signed and readable
)

// LifetimePolicy says when the lifetime of a leaf counts, R §7.2.
type LifetimePolicy int

// The lifetime policies.
const (
	// LifetimeOwn checks the leaves that this member adds. An expired leaf of
	// somebody else neither keeps it from joining nor makes a commit invalid
	// that others accepted.
	LifetimeOwn LifetimePolicy = iota
	// LifetimeStrict checks every leaf from a KeyPackage, in joins and commits
	// too.
	LifetimeStrict
	// LifetimeIgnore checks nothing.
	LifetimeIgnore
)

// Reason says why a credential is validated.
type Reason int

// The reasons.
const (
	ReasonJoin           Reason = iota // a member of a group that this client joins
	ReasonAdd                          // a client that is added
	ReasonUpdate                       // a member that updates its leaf
	ReasonCommit                       // a committer's new leaf
	ReasonExternalCommit               // a client that joins by itself
	ReasonExternalSender               // a sender that is not a member
)

// CredentialContext is what a validator knows about a credential's use.
type CredentialContext struct {
	Reason       Reason
	GroupID      []byte
	Epoch        uint64
	Leaf         uint32 // leaf index, or index of the external sender
	SignatureKey []byte
	Previous     *Credential // of the leaf that is replaced, for updates and commits
}

// Policy is how one member treats one group. The zero value is the default.
// It is not saved with the group: hand it to [LoadGroup] again.
type Policy struct {
	// Handshake is the framing of the commits and proposals that this member
	// sends. By default they are encrypted (requirement 27).
	Handshake Framing
	// RequirePrivate refuses commits and proposals of members that came as
	// PublicMessage.
	RequirePrivate bool
	// PastEpochs is for how many past epochs application messages can still be
	// opened; 0 means DefaultPastEpochs, less than 0 none.
	PastEpochs int
	// ResumptionEpochs is for how many past epochs the resumption PSK is kept; 0
	// means DefaultResumptionEpochs, less than 0 none.
	ResumptionEpochs int
	// MaxForward is how many message generations of a sender may be missing; 0
	// means DefaultForward.
	MaxForward uint32
	// MaxKept is how many keys of missing messages are kept for each sender, for
	// application and handshake messages each; 0 means DefaultKept.
	MaxKept int
	// MaxProposals bounds the cached proposals of an epoch, and those of one
	// commit; 0 means DefaultMaxProposals.
	MaxProposals int
	// Padding returns the padded length in bytes for a content of n bytes; nil
	// means PadToBucket (requirement 26). It may be asked twice for a message.
	Padding func(n int) int
	// Lifetime says when lifetimes count.
	Lifetime LifetimePolicy
	// Now is the clock for lifetimes; nil means time.Now.
	Now func() time.Time
	// Validate decides about a credential; nil accepts all. An error makes the
	// call fail with an error that matches ErrCredential.
	Validate func(Credential, CredentialContext) error
	// SameClient says whether two credentials belong to one client, when a client
	// rejoins (R §12.2) or a subgroup is made (R §11.3); nil means Equal.
	SameClient func(a, b Credential) bool
	// ExternalPSK returns the key for an id, or an error when it is not known.
	ExternalPSK func(id []byte) ([]byte, error)
}

func or[T int | uint32](v, def T) T {
	switch {
	case v == 0:
		return def
	case v < 0:
		return 0
	}
	return v
}

func (p *Policy) pastEpochs() int       { return or(p.PastEpochs, DefaultPastEpochs) }
func (p *Policy) resumptionEpochs() int { return or(p.ResumptionEpochs, DefaultResumptionEpochs) }
func (p *Policy) maxProposals() int     { return or(p.MaxProposals, DefaultMaxProposals) }

func (p *Policy) limits() schedule.Limits {
	return schedule.Limits{Forward: or(p.MaxForward, DefaultForward), Kept: or(p.MaxKept, DefaultKept)}
}

func (p *Policy) now() time.Time {
	if p.Now != nil {
		return p.Now()
	}
	return time.Now()
}

func (p *Policy) pad(n int) int {
	if p.Padding != nil {
		return p.Padding(n)
	}
	return PadToBucket(n)
}

func (p *Policy) sameClient(a, b Credential) bool {
	if p.SameClient != nil {
		return p.SameClient(a, b)
	}
	return a.Equal(b)
}

func (p *Policy) public(f Framing) bool {
	if f == FramingDefault {
		f = p.Handshake
	}
	return f == FramingPublic
}

// smallestBucket is the shortest padded content in bytes.
const smallestBucket = 256

// PadToBucket rounds a length up so that it tells little: to 256 bytes at
// least, then to lengths whose binary form has only its leading bits set
// (Padmé), which costs at most 12 percent.
func PadToBucket(n int) int {
	if n <= smallestBucket {
		return smallestBucket
	}
	e := bits.Len(uint(n)) - 1
	mask := 1<<(e-bits.Len(uint(e))) - 1
	return (n + mask) &^ mask
}

// NoPadding returns n.
func NoPadding(n int) int { return n }
