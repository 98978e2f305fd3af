package quicrpc

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"capnproto.org/go/capnp/v3/exc"
)

// A Code names why a call failed. It crosses the wire as the beginning of the reason of a Cap'n Proto exception: "[code] text". Codes are
// append-only, and a call that failed with one had no effect unless its schema says otherwise.
type Code string

// Codes of failed calls.
const (
	CodeInvalidArgument Code = "invalidArgument" // an argument is not as the schema says; repeating is useless
	CodeNotAuthorized   Code = "notAuthorized"   // the caller is not who may do this
	CodeNotFound        Code = "notFound"
	CodeTooLarge        Code = "tooLarge"
	CodeQuotaExceeded   Code = "quotaExceeded"
	CodeRateLimited     Code = "rateLimited" // repeat later
	CodeUnavailable     Code = "unavailable" // repeat later: overload, disk, shutting down
	CodeInternal        Code = "internal"
	CodeEarlyData       Code = "earlyData"     // not allowed in 0-RTT: repeat after the handshake
	CodeUnimplemented   Code = "unimplemented" // the server does not know the method
	CodeExists          Code = "exists"        // there is one already
)

// Targets for errors.Is: an *RPCError of the same code matches, whatever its text.
var (
	ErrInvalidArgument error = &RPCError{Code: CodeInvalidArgument}
	ErrNotAuthorized   error = &RPCError{Code: CodeNotAuthorized}
	ErrNotFound        error = &RPCError{Code: CodeNotFound}
	ErrTooLarge        error = &RPCError{Code: CodeTooLarge}
	ErrQuotaExceeded   error = &RPCError{Code: CodeQuotaExceeded}
	ErrRateLimited     error = &RPCError{Code: CodeRateLimited}
	ErrUnavailable     error = &RPCError{Code: CodeUnavailable}
	ErrInternal        error = &RPCError{Code: CodeInternal}
	ErrEarlyData       error = &RPCError{Code: CodeEarlyData}
	ErrUnimplemented   error = &RPCError{Code: CodeUnimplemented}
	ErrExists          error = &RPCError{Code: CodeExists}
)

// An RPCError is the failure of one call, as the callee worded it.
type RPCError struct {
	Code Code
	Text string // for people; from a peer: printable, at most 512 bytes
}

// Error returns the form that crosses the wire.
func (e *RPCError) Error() string {
	if e.Text == "" {
		return "[" + string(e.Code) + "]"
	}
	return "[" + string(e.Code) + "] " + e.Text
}

// Is reports whether target is an *RPCError of the same code.
func (e *RPCError) Is(target error) bool {
	t, ok := target.(*RPCError)
	return ok && t.Code == e.Code
}

// Errorf returns what a service's method returns to fail a call with code. Text reaches the caller, so it must hold nothing secret.
func Errorf(code Code, format string, args ...any) error {
	return &RPCError{Code: code, Text: fmt.Sprintf(format, args...)}
}

const (
	maxReason = 512 // bytes of an exception's reason that are kept
	maxCode   = 32  // bytes of a code that is taken for one
)

// Reason is what err becomes on the wire: "[code] text". An error that is no *RPCError is not told to the peer: unexpected reports that the caller should log it.
func Reason(err error) (reason string, unexpected bool) {
	re, unexpected := told(err)
	return re.reason(), unexpected
}

// FromReason is the *RPCError that a peer meant by a reason.
func FromReason(reason string) error { return parseReason(reason, exc.Failed) }

// told is what the peer is told of err.
func told(err error) (re *RPCError, unexpected bool) {
	switch {
	case errors.As(err, &re):
		return re, false
	case exc.IsType(err, exc.Unimplemented):
		return &RPCError{Code: CodeUnimplemented, Text: "unknown method"}, false
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &RPCError{Code: CodeUnavailable, Text: "the call took too long or was cancelled"}, false
	default:
		return &RPCError{Code: CodeInternal, Text: "internal error"}, true
	}
}

// reason is the form that crosses the wire, of bounded length.
func (e *RPCError) reason() string {
	reason := e.Error()
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "")
	}
	return reason
}

// exception is what a method's error becomes on the wire; see Reason.
func exception(err error) (e *exc.Exception, unexpected bool) {
	re, unexpected := told(err)
	typ := exc.Failed
	switch re.Code {
	case CodeUnimplemented:
		typ = exc.Unimplemented
	case CodeRateLimited, CodeQuotaExceeded, CodeUnavailable:
		typ = exc.Overloaded
	}
	return exc.New(typ, "", re.reason()), unexpected
}

// FromRPC translates what a Cap'n Proto call returned: an exception of the callee becomes an *RPCError, the end of a connection a
// *ConnError (of code ConnErrLost; [RPC.Err] knows the code that the peer gave), a cut stream a *StreamError. Errors of the caller's
// context, ErrMessageSize, ErrClosed, ErrEarlyRejected and nil stay what they are.
func FromRPC(err error) error {
	var (
		re *RPCError
		ce *ConnError
		se *StreamError
		ex *exc.Exception
		ev exc.Exception
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &re):
		return re
	case errors.As(err, &ce):
		return ce
	case errors.As(err, &se):
		return se
	case errors.Is(err, ErrClosed):
		return ErrClosed
	case errors.Is(err, ErrEarlyRejected):
		return ErrEarlyRejected
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, ErrMessageSize):
		return err
	case errors.As(err, &ex):
	case errors.As(err, &ev):
		ex = &ev
	default:
		return err
	}
	if disconnected(err) {
		return &ConnError{Code: ConnErrLost, Text: printable(err.Error(), maxPeerText), Err: err}
	}
	return parseReason(err.Error(), ex.Type)
}

// disconnected reports whether err came from the end of the RPC connection, however often the library wrapped it.
func disconnected(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if e, ok := err.(*exc.Exception); ok && e.Type == exc.Disconnected {
			return true
		}
		if e, ok := err.(exc.Exception); ok && e.Type == exc.Disconnected {
			return true
		}
	}
	return false
}

// parseReason finds "[code] text" at the beginning of a reason, or after the prefixes ("pkg: method: ") that the RPC library puts before it.
func parseReason(reason string, typ exc.Type) *RPCError {
	for at := 0; ; {
		if code, text, ok := splitReason(reason[at:]); ok {
			return &RPCError{Code: code, Text: printable(text, maxReason)}
		}
		next := strings.Index(reason[at:], ": ")
		if next < 0 {
			break
		}
		at += next + 2
	}
	code := CodeInternal
	if typ == exc.Unimplemented {
		code = CodeUnimplemented
	}
	return &RPCError{Code: code, Text: printable(reason, maxReason)}
}

func splitReason(s string) (code Code, text string, ok bool) {
	if !strings.HasPrefix(s, "[") {
		return "", "", false
	}
	name, rest, found := strings.Cut(s[1:], "]")
	if !found || name == "" || len(name) > maxCode {
		return "", "", false
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return "", "", false
		}
	}
	return Code(name), strings.TrimPrefix(rest, " "), true
}
