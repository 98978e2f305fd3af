package quicrpc

import (
	"crypto/ed25519"
	"crypto/tls"
	"encoding/hex"
)

// A Peer is who stands at the other end of a connection: the Ed25519 public key of its TLS certificate, 32 bytes.
type Peer = [32]byte

// PeerOf returns the Ed25519 key of the certificate that the peer of cs proved to hold. The error is ErrNoIdentity.
func PeerOf(cs tls.ConnectionState) (Peer, error) {
	if len(cs.PeerCertificates) == 0 {
		return Peer{}, ErrNoIdentity
	}
	key, ok := cs.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok || len(key) != len(Peer{}) {
		return Peer{}, ErrNoIdentity
	}
	return Peer(key), nil
}

// shortPeer is how a peer stands in logs: the first 6 bytes of its key in hex.
func shortPeer(p Peer) string { return hex.EncodeToString(p[:6]) }
