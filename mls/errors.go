package mls

import (
	"errors"
	"fmt"

	"quicnprotochat/mls/internal/framing"
	"quicnprotochat/mls/internal/ratchet"
	"quicnprotochat/mls/internal/schedule"
	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/wire"
)

// What can be wrong with bytes and keys.
var (
	ErrMalformed   = errors.New("malformed encoding")
	ErrUnsupported = wire.ErrUnsupported // a type that cannot be parsed
	ErrSuite       = errors.New("cipher suite does not fit")
	ErrUnknown     = suite.ErrUnknown // cipher suite not implemented
	ErrCodePoint   = suite.ErrCodePoint
	ErrVersion     = errors.New("protocol version does not fit")
	ErrKey         = suite.ErrKey
	ErrLimit       = errors.New("limit exceeded")
)

// What can be wrong with a message, R §6.
var (
	ErrSignature         = suite.ErrSignature
	ErrDecrypt           = suite.ErrDecrypt
	ErrMembershipTag     = framing.ErrMembershipTag
	ErrConfirmationTag   = errors.New("confirmation tag does not verify")
	ErrPadding           = framing.ErrPadding
	ErrPublicApplication = framing.ErrPublicApplication
	ErrPolicy            = errors.New("message breaks the policy of this member")
	ErrNotMember         = errors.New("no such member")
	ErrSender            = errors.New("sender type may not send this")
	ErrKeyUsed           = schedule.ErrKeyGone // a duplicate, or too late
	ErrTooFar            = schedule.ErrTooFar
	ErrExhausted         = schedule.ErrExhausted
	ErrOwnMessage        = errors.New("own message, which its sender cannot decrypt")
	ErrWrongGroup        = errors.New("message is for another group")
	ErrWrongEpoch        = errors.New("message is not for this epoch")
	ErrPastEpoch         = fmt.Errorf("%w: it is from the past", ErrWrongEpoch)
	ErrFutureEpoch       = fmt.Errorf("%w: it is from the future", ErrWrongEpoch)
)

// What can be wrong with a leaf, a KeyPackage or a tree, R §7 and §10.1.
var (
	ErrLeafSource    = errors.New("leaf node source does not fit its place")
	ErrLifetime      = errors.New("leaf node is outside its lifetime")
	ErrCapabilities  = errors.New("capabilities do not cover what is used")
	ErrCredential    = errors.New("credential is not accepted")
	ErrExtension     = errors.New("invalid extension")
	ErrInitKey       = errors.New("init key and leaf key must differ")
	ErrDuplicateKey  = ratchet.ErrDuplicateKey
	ErrTree          = ratchet.ErrTree
	ErrTreeHash      = errors.New("tree hash does not match")
	ErrParentHash    = ratchet.ErrParentHash
	ErrTreeTooLarge  = ratchet.ErrTooLarge
	ErrTreeMissing   = errors.New("no ratchet tree was given")
	ErrNoExternalPub = errors.New("group info has no external public key")
)

// Rules of proposal lists, R §12.2, and of commits, R §12.4.
var (
	ErrUnknownProposal     = errors.New("commit refers to an unknown proposal")
	ErrUpdateByCommitter   = errors.New("commit covers an update of its committer")
	ErrRemoveCommitter     = errors.New("commit removes its committer")
	ErrSameTarget          = errors.New("commit updates or removes a leaf twice")
	ErrAlreadyMember       = errors.New("commit adds a client that is a member")
	ErrDuplicateAdd        = errors.New("commit adds a client twice")
	ErrDuplicatePSK        = errors.New("commit names a PSK twice")
	ErrDuplicateExtensions = errors.New("commit sets group extensions twice")
	ErrReInitNotAlone      = errors.New("commit covers more than a reinit")
	ErrExternalInit        = errors.New("external init does not fit the commit")
	ErrExternalCommit      = errors.New("external commit covers what it must not")
	ErrPSK                 = errors.New("invalid PSK id")
	ErrReInit              = errors.New("invalid reinit")
	ErrPathRequired        = errors.New("commit needs a path")
	ErrPath                = ratchet.ErrPath
)

// What can be wrong with the use of this package.
var (
	ErrNotForUs      = errors.New("welcome is not for this key package")
	ErrPSKMissing    = errors.New("pre-shared key is not known")
	ErrPending       = errors.New("a commit is pending")
	ErrNoPending     = errors.New("no commit is pending")
	ErrRemoved       = errors.New("this member was removed from the group")
	ErrReinitialized = errors.New("the group was reinitialized")
	ErrWrongIdentity = errors.New("identity does not fit")
	ErrState         = errors.New("saved state is damaged or of an unknown version")
	ErrSubgroup      = errors.New("group does not continue its parent")
	ErrSuitesInUse   = suite.ErrInUse // too late for SetPostQuantumSuites
)

// EpochError says for which epoch a message was. It matches ErrWrongEpoch and
// either ErrPastEpoch or ErrFutureEpoch.
type EpochError struct {
	Message, Group uint64 // epochs
}

// Error describes both epochs.
func (e *EpochError) Error() string {
	return fmt.Sprintf("message of epoch %d in a group at epoch %d", e.Message, e.Group)
}

// Is matches the sentinel values.
func (e *EpochError) Is(target error) bool {
	switch target {
	case ErrWrongEpoch:
		return true
	case ErrPastEpoch:
		return e.Message < e.Group
	case ErrFutureEpoch:
		return e.Message > e.Group
	}
	return false
}

// op names the call in which an error came up.
func op(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("mls: %s: %w", name, err)
}

// decode reads v from exactly b.
func decode(b []byte, v wire.Decoder) error {
	if err := wire.Decode(b, v); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}
