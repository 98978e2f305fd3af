// Package as is the authentication service: pools of single-use KeyPackages, published by their owner and handed out once
// (schemas/auth.capnp; RFC 9420 sections 10 and 16.8).
//
// Who the caller is was decided by TLS; [Service.Client] fixes it inside the capability. The service answers no question about identities
// beyond their KeyPackages: an identity is its Ed25519 key.
package as
