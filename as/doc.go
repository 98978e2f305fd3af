// Package as is the authentication service: pools of single-use KeyPackages, published by their owner and handed out once, and names of keys with
// the log of every change (schemas/auth.capnp; R §10, R §16.8, requirements 10 to 20).
//
// Who the caller is was decided by TLS; [Service.Client] fixes it inside the capability. An identity is its Ed25519 key; names stand beside
// it. They are as trustworthy as their log is watched: each change is signed by the keys that it concerns, and package names checks a whole log.
package as
