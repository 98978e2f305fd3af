package quicrpc

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/quic-go/quic-go"
)

// Reasons for the loss of a connection that no application code names; errors.Is finds them in a *ConnError.
var (
	ErrPeerRestarted       = errors.New("quicrpc: the peer no longer knows this connection") // stateless reset, RFC 9000 section 10.3
	ErrTimeout             = errors.New("quicrpc: the peer does not answer")
	ErrRefused             = errors.New("quicrpc: connection refused")
	ErrCertificateRequired = errors.New("quicrpc: the server requires a client certificate")
	ErrTLS                 = errors.New("quicrpc: TLS handshake failed")
	ErrVersion             = errors.New("quicrpc: no QUIC version in common")
)

// Errors of calls into this package.
var (
	ErrClosed        = errors.New("quicrpc: closed")
	ErrEarlyRejected = errors.New("quicrpc: the server rejected 0-RTT; repeat the call") // nothing of it had an effect
	ErrMessageSize   = errors.New("quicrpc: message above the limit")
)

// A StreamError tells that a stream was cut, by which side and why.
type StreamError struct {
	Code   StreamErrorCode
	Remote bool   // the peer cut it
	Text   string // details for people, of local cuts only
	Err    error  // the cause, if there is one
}

func (e *StreamError) Error() string {
	return cutText("stream", e.Code.String(), e.Remote, e.Text)
}

// Is reports whether target is e's code.
func (e *StreamError) Is(target error) bool {
	c, ok := target.(StreamErrorCode)
	return ok && c == e.Code
}

func (e *StreamError) Unwrap() error { return e.Err }

// A ConnError tells that a connection ended, by which side and why.
type ConnError struct {
	Code   ConnErrorCode
	Remote bool   // the peer ended it
	Text   string // details for people: the peer's, made printable and cut to 256 bytes, or our own
	Reason error  // one of the Err values above if Code is ConnErrLost, or nil
	Err    error  // the cause as QUIC reported it, if there is one
}

func (e *ConnError) Error() string {
	if e.Reason != nil {
		if e.Text != "" {
			return e.Reason.Error() + ": " + e.Text
		}
		return e.Reason.Error()
	}
	return cutText("connection", e.Code.String(), e.Remote, e.Text)
}

// Is reports whether target is e's code.
func (e *ConnError) Is(target error) bool {
	c, ok := target.(ConnErrorCode)
	return ok && c == e.Code
}

// Unwrap gives errors.Is both the reason and the cause.
func (e *ConnError) Unwrap() []error {
	var errs []error
	if e.Reason != nil {
		errs = append(errs, e.Reason)
	}
	if e.Err != nil {
		errs = append(errs, e.Err)
	}
	return errs
}

func cutText(what, code string, remote bool, text string) string {
	by := "locally"
	if remote {
		by = "by the peer"
	}
	s := fmt.Sprintf("quicrpc: %s ended %s: %s", what, by, code)
	if text != "" {
		s += ": " + text
	}
	return s
}

// streamFailure translates an error of a QUIC stream. io.EOF stays io.EOF.
func streamFailure(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	var se *StreamError
	var qe *quic.StreamError
	switch {
	case errors.As(err, &se):
		return se
	case errors.As(err, &qe):
		return &StreamError{Code: StreamErrorCode(qe.ErrorCode), Remote: qe.Remote, Err: err}
	case errors.Is(err, quic.Err0RTTRejected):
		return ErrEarlyRejected
	case errors.Is(err, quic.ErrStreamClosed), errors.Is(err, ErrClosed), errors.Is(err, os.ErrDeadlineExceeded):
		return ErrClosed
	}
	return connFailure(err)
}

// connFailure translates the error that ended a QUIC connection.
func connFailure(err error) error {
	var (
		ce *ConnError
		ae *quic.ApplicationError
		te *quic.TransportError
		re *quic.StatelessResetError
		ie *quic.IdleTimeoutError
		he *quic.HandshakeTimeoutError
		ve *quic.VersionNegotiationError
	)
	lost := &ConnError{Code: ConnErrLost, Err: err}
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ce):
		return ce
	case errors.As(err, &ae):
		return &ConnError{Code: ConnErrorCode(ae.ErrorCode), Remote: ae.Remote, Text: printable(ae.ErrorMessage, maxPeerText), Err: err}
	case errors.As(err, &te):
		transportFailure(lost, te)
	case errors.As(err, &re):
		lost.Remote, lost.Reason = true, ErrPeerRestarted
	case errors.As(err, &ie), errors.As(err, &he):
		lost.Reason = ErrTimeout
	case errors.As(err, &ve):
		lost.Reason = ErrVersion
	case errors.Is(err, quic.ErrTransportClosed), errors.Is(err, quic.ErrServerClosed):
		lost.Reason = ErrClosed
	default:
		lost.Text = printable(err.Error(), maxPeerText)
	}
	return lost
}

// TLS alerts, RFC 8446 section 6, as QUIC carries them (RFC 9001 section 4.8: 0x100 + alert).
const alertCertificateRequired = 0x100 + 116

func transportFailure(e *ConnError, te *quic.TransportError) {
	e.Remote, e.Text = te.Remote, printable(te.ErrorMessage, maxPeerText)
	switch {
	case te.ErrorCode == quic.ConnectionRefused:
		e.Reason = ErrRefused
	case te.ErrorCode == alertCertificateRequired:
		e.Reason, e.Text = ErrCertificateRequired, ""
	case te.ErrorCode.IsCryptoError():
		e.Reason = ErrTLS
		if !te.Remote {
			for _, inner := range te.Unwrap() {
				if inner != nil && inner != net.ErrClosed {
					e.Text = printable(inner.Error(), maxPeerText)
				}
			}
		}
	default:
		e.Text = te.ErrorCode.String() + " " + e.Text
	}
}

// maxPeerText bounds what a peer's words may take in our errors and logs, bytes.
const maxPeerText = 256

// printable returns s cut to limit bytes, with everything replaced that could disturb a terminal or a log
// (and the remains of a character that was cut).
func printable(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
	}
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
