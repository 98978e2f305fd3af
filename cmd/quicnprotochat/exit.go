package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"quicnprotochat/certs"
	"quicnprotochat/client"
	"quicnprotochat/names"
	"quicnprotochat/quicrpc"
)

// Exit codes; append-only, scripts rely on them. README.md lists them.
const (
	exitOK           = 0
	exitFailure      = 1 // anything without a code of its own
	exitUsage        = 2 // wrong flag, argument or command
	exitUnreachable  = 3 // no connection to the server, or no answer in time
	exitPin          = 4 // the server's key is not the pinned one
	exitIdentity     = 5 // not an identity: a typing error
	exitTooLarge     = 6 // message too large
	exitUnknownGroup = 7 // no such group
	exitInUse        = 8 // another process has the state directory
	exitNoState      = 9 // no account there: run init
	exitNoKeyPackage = 10
	exitQuota        = 11 // a recipient's queue is full, or the server limits the rate
	exitRemoved      = 12 // no longer, or not, a member
	exitNothing      = 13 // join, recv --wait: nothing came in time
	exitExists       = 14 // an account, a group or a name is there already
	exitState        = 15 // the state directory cannot be used: permissions, disk, format
	exitUnavailable  = 16 // the server cannot do it now: its disk is full, or it is going away
	exitNoName       = 17 // nobody has that name, or it was revoked, or it is another's

	exitInterrupted = 130
)

var (
	errUsage   = errors.New("usage")
	errNothing = errors.New("nothing has come")
)

func exitCode(err error) int {
	table := []struct {
		is   error
		code int
	}{
		{errUsage, exitUsage},
		{certs.ErrIdentity, exitIdentity},
		{certs.ErrPinMismatch, exitPin},
		{client.ErrUnreachable, exitUnreachable},
		{client.ErrTooLarge, exitTooLarge},
		{quicrpc.ErrTooLarge, exitTooLarge},
		{client.ErrUnknownGroup, exitUnknownGroup},
		{client.ErrStateInUse, exitInUse},
		{client.ErrNoState, exitNoState},
		{client.ErrNoKeyPackage, exitNoKeyPackage},
		{client.ErrQuota, exitQuota},
		{quicrpc.ErrQuotaExceeded, exitQuota},
		{quicrpc.ErrRateLimited, exitQuota},
		{quicrpc.ErrUnavailable, exitUnavailable},
		{client.ErrRemoved, exitRemoved},
		{client.ErrNotMember, exitRemoved},
		{errNothing, exitNothing},
		{client.ErrStateExists, exitExists},
		{client.ErrGroupExists, exitExists},
		{client.ErrRejoin, exitExists},
		{client.ErrRace, exitUnavailable},
		{client.ErrState, exitState},
		{client.ErrInvalid, exitUsage},
		{names.ErrInvalid, exitUsage},
		{names.ErrUnclaimed, exitNoName},
		{names.ErrRevoked, exitNoName},
		{names.ErrHolder, exitNoName},
		{quicrpc.ErrExists, exitExists},
		{context.DeadlineExceeded, exitUnreachable},
	}
	for _, row := range table {
		if errors.Is(err, row.is) {
			return row.code
		}
	}
	var conn *quicrpc.ConnError
	var stream *quicrpc.StreamError
	switch {
	case errors.As(err, &conn), errors.As(err, &stream):
		return exitUnreachable
	case strings.HasPrefix(err.Error(), "unknown command"):
		return exitUsage
	}
	return exitFailure
}

// explain is the line for a person: what happened, and what to do where that is not plain.
func explain(err error) string {
	var pin *certs.PinMismatchError
	var kept *keptError
	switch {
	case errors.As(err, &kept):
		return explain(kept.err) + " " + kept.where()
	case errors.As(err, &pin):
		return fmt.Sprintf("THE SERVER'S KEY HAS CHANGED. Pinned: %v; presented now: %v. Either the server was given a new key or somebody stands in between; "+
			"nothing was sent. If its operator confirms the new key, run the command again with --pin %v", pin.Want, pin.Got, pin.Got)
	case errors.Is(err, client.ErrNoState):
		return oneLine(err) + "; run quicnprotochat init first"
	case errors.Is(err, client.ErrNoKeyPackage):
		return oneLine(err) + "; its owner has to run quicnprotochat register"
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer from the server in time (see --timeout)"
	default:
		return oneLine(err)
	}
}

// keptError is a failure to send after which the messages are safe in the outbox.
type keptError struct {
	err      error
	messages int
}

func (e *keptError) Error() string { return e.err.Error() }
func (e *keptError) Unwrap() error { return e.err }

// where tells what became of the messages.
func (e *keptError) where() string {
	return fmt.Sprintf("(%d messages kept in the outbox; they go with the next command that connects)", e.messages)
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
