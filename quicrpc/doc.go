// Package quicrpc is the transport of quicnprotochat: QUIC connections with mutual TLS, and on them Cap'n Proto RPC connections
// (streams AS and DS, opened by the client) and framed Cap'n Proto messages (streams PUSH, opened by the server).
//
// The common path of a server is [Listen] with a [Handler], then [Server.Serve]; of a client [Dial], then [Conn.Bootstrap] for a service
// and [Conn.AcceptPush] for what the server pushes. The package knows streams, headers, budgets and messages. It knows nothing of
// queues, and of identities only this: the peer is the 32-byte Ed25519 key in its TLS certificate ([PeerOf]).
//
// # Wire
//
// QUIC version 1 (RFC 9000), ALPN "quicnprotochat/1", TLS 1.3. Every stream is bidirectional and begins with a header that its opener
// sends at once, two QUIC varints (RFC 9000 section 16):
//
//	stream type    1 = AS, 2 = DS, 3 = PUSH
//	version        1
//
// After it, in both directions, Cap'n Proto messages in standard stream framing, unpacked. Error codes ([StreamErrorCode],
// [ConnErrorCode], [Code]) are append-only.
//
// # Trust
//
// The peer is not trusted. A guard stands between QUIC and every rpc.Conn on both sides and lets only those messages pass that the protocol
// means; the decoder never allocates on the word of a header; every count, length and wait that a peer controls has a limit in
// [Limits]. What exceeds one is cut with a code, and logged once with the reason.
//
// # Compatibility
//
// The wire is stable from version 1 on. The Go API may still change.
package quicrpc
