package client

import (
	"context"
	"errors"
	"fmt"

	"quicnprotochat/certs"
	"quicnprotochat/quicrpc"
)

var (
	// ErrUnreachable says that no connection to the server came about.
	ErrUnreachable = errors.New("server not reachable")
	// ErrNoKeyPackage says that somebody has no KeyPackage left on the server.
	ErrNoKeyPackage = errors.New("no KeyPackage available")
	// ErrQuota says that a group's order, or a recipient's queue, is full: a message waits in the outbox.
	ErrQuota = errors.New("queue is full")
	// ErrRace says that another member's commit won the race for the epoch: nothing of ours happened.
	ErrRace = errors.New("another member changed the group at the same moment")
	// ErrTooLarge says that a message is larger than the server takes.
	ErrTooLarge = errors.New("message too large")
	// ErrUnknownGroup says that a name or id means none of the account's groups, or more than one.
	ErrUnknownGroup = errors.New("unknown group")
	// ErrNotMember says that somebody is not a member of the group.
	ErrNotMember = errors.New("not a member of the group")
	// ErrGroupExists says that a group of that local name is there already.
	ErrGroupExists = errors.New("there is a group of that name already")
	// ErrRejoin says that there is an invitation to a group that this account is in.
	ErrRejoin = errors.New("invited to a group that you are in")
	// ErrRemoved says that this account was removed from the group: it can read what it has, and send nothing.
	ErrRemoved = errors.New("you were removed from the group")
	// ErrWedged says that a commit of the group could not be processed here: the group stands still until it is replaced (Report, Mend).
	ErrWedged = errors.New("the group's last commit cannot be processed: see the commands report and mend")
	// ErrInvalid says that an argument cannot be used: empty text, a name that looks like an id.
	ErrInvalid = errors.New("invalid argument")
	// ErrBlob says that a blob is not what its reference says, or that content to upload has changed.
	ErrBlob = errors.New("not the blob that was referred to")
	// ErrReceipt says that a server's receipt does not prove what the server answered.
	ErrReceipt = errors.New("the server's receipt is wrong")
	// ErrProtocol says that the server answered something that the protocol does not allow.
	ErrProtocol = errors.New("server broke the protocol")

	// ErrNoState says that a directory holds no account.
	ErrNoState = errors.New("no account in this directory")
	// ErrStateExists says that a directory holds an account already.
	ErrStateExists = errors.New("there is an account in this directory already")
	// ErrStateInUse says that another process has the state directory open.
	ErrStateInUse = errors.New("state directory is in use by another process")
	// ErrState says that the state cannot be read or written.
	ErrState = errors.New("state directory not usable")
)

func protocolErrorf(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrProtocol}, args...)...)
}

// transient says whether a new attempt may cure err: the connection was lost, or the server is full or going away.
func transient(err error) bool {
	if errors.Is(err, certs.ErrPinMismatch) || errors.Is(err, quicrpc.ErrTLS) || errors.Is(err, quicrpc.ErrCertificateRequired) {
		return false
	}
	var conn *quicrpc.ConnError
	var stream *quicrpc.StreamError
	return errors.Is(err, ErrUnreachable) || errors.As(err, &conn) || errors.As(err, &stream) ||
		errors.Is(err, quicrpc.ErrUnavailable) || errors.Is(err, quicrpc.ErrRateLimited) || errors.Is(err, ErrQuota) || errors.Is(err, ErrRace) ||
		errors.Is(err, quicrpc.ErrClosed) || errors.Is(err, context.DeadlineExceeded)
}
