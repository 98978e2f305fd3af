package quicrpc

import "strconv"

// Numbers that the protocol gives. They cross the wire: never change or reuse one, only append.

// ALPN is the TLS application protocol of QUIC connections.
const ALPN = "quicnprotochat/1"

// DefaultPort is the UDP port of a server.
const DefaultPort = 7000

// A StreamErrorCode says why a stream was reset or is no longer read (QUIC application error code of RESET_STREAM and STOP_SENDING, RFC
// 9000 section 20.2). It is an error, so that errors.Is(err, StreamErrBudget) works on whatever this package returns.
type StreamErrorCode uint64

// Stream error codes.
const (
	StreamErrNone               StreamErrorCode = 0  // orderly end: nothing more is wanted
	StreamErrUnknownType        StreamErrorCode = 1  // the header names a stream type that the receiver does not serve
	StreamErrBadHeader          StreamErrorCode = 2  // the stream ended inside its header
	StreamErrHeaderTimeout      StreamErrorCode = 3  // the header did not come in time
	StreamErrProtocol           StreamErrorCode = 4  // a message that the protocol does not allow
	StreamErrTooLarge           StreamErrorCode = 5  // a message above the limit
	StreamErrBudget             StreamErrorCode = 6  // too many calls, streams or bytes at once
	StreamErrSlowReader         StreamErrorCode = 7  // the peer did not read
	StreamErrShuttingDown       StreamErrorCode = 8  // the server is going away
	StreamErrInternal           StreamErrorCode = 9  // a failure on the side of the sender of this code
	StreamErrSlowWriter         StreamErrorCode = 10 // the peer began a message and did not go on
	StreamErrUnsupportedVersion StreamErrorCode = 11 // the header names a version that the receiver does not speak
)

var streamErrorNames = [...]string{
	"none", "unknownType", "badHeader", "headerTimeout", "protocol", "tooLarge", "budget", "slowReader", "shuttingDown", "internal",
	"slowWriter", "unsupportedVersion",
}

// String returns the code's name in docs/protocol.md.
func (c StreamErrorCode) String() string {
	if c < StreamErrorCode(len(streamErrorNames)) {
		return streamErrorNames[c]
	}
	return "code " + strconv.FormatUint(uint64(c), 10)
}

// Error makes a code a target of errors.Is.
func (c StreamErrorCode) Error() string { return "stream error " + c.String() }

// A ConnErrorCode says why a connection was closed (QUIC application error code of CONNECTION_CLOSE). It is an error, as StreamErrorCode is.
type ConnErrorCode uint64

// Connection error codes.
const (
	ConnErrNone         ConnErrorCode = 0 // orderly end
	ConnErrProtocol     ConnErrorCode = 1 // the peer broke the protocol repeatedly
	ConnErrBudget       ConnErrorCode = 2 // the peer holds too much
	ConnErrShuttingDown ConnErrorCode = 3 // the server is going away; another attempt may succeed
	ConnErrInternal     ConnErrorCode = 4 // a failure on the side of the sender of this code
	ConnErrBadIdentity  ConnErrorCode = 5 // the peer's certificate holds no Ed25519 key

	// ConnErrLost never crosses the wire: the connection ended without an application's code (a timeout, a restart, a TLS alert).
	ConnErrLost ConnErrorCode = 1<<62 - 1
)

var connErrorNames = [...]string{"none", "protocol", "budget", "shuttingDown", "internal", "badIdentity"}

// String returns the code's name in docs/protocol.md.
func (c ConnErrorCode) String() string {
	switch {
	case c < ConnErrorCode(len(connErrorNames)):
		return connErrorNames[c]
	case c == ConnErrLost:
		return "lost"
	}
	return "code " + strconv.FormatUint(uint64(c), 10)
}

// Error makes a code a target of errors.Is.
func (c ConnErrorCode) Error() string { return "connection error " + c.String() }
