// Package certs holds who is who on the wire: Ed25519 identity keys and their printable form, the certificates that carry
// them into TLS 1.3, the server's own certificate, and the pins by which a client knows a server again.
//
// An identity is a bare Ed25519 public key (32 bytes). A client proves it by a self-signed certificate in the TLS handshake, and
// an MLS leaf carries the same key, so that one string, "qnp1...", names a person everywhere (requirements 17 and 18).
//
// Everything here is safe for concurrent use unless its comment says otherwise.
package certs
