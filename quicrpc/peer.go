package quicrpc

import (
	"crypto/tls"
	"encoding/hex"

	"quicnprotochat/certs"
)

// A Peer is who stands at the other end of a connection: the Ed25519 public key of its TLS certificate, 32 bytes.
type Peer = [32]byte

// ErrNoIdentity says that the peer's certificate holds no Ed25519 key; it is package certs's.
var ErrNoIdentity = certs.ErrNoIdentity

// PeerOf returns the Ed25519 key of the certificate that the peer of cs proved to hold. The error is ErrNoIdentity.
func PeerOf(cs tls.ConnectionState) (Peer, error) {
	id, err := certs.PeerIdentity(cs)
	return Peer(id), err
}

// shortPeer is how a peer stands in logs: the first 6 bytes of its key in hex.
func shortPeer(p Peer) string { return hex.EncodeToString(p[:6]) }
