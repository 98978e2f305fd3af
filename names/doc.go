// Package names is what a service, its clients and whoever audits it must agree on about names: which there are, what is signed to change one, and the log
// in which every change stands (docs/protocol.md, requirements 17 to 20).
//
// A name belongs to the key that claimed it first. Its holder hands it on to a new key of the same client, signed by both, or revokes it, which is for good:
// a revoked name is nobody's any more. Each change is an [Entry] of one log. An entry carries the signatures that make it valid and the SHA-256 of the entry before
// it, so whoever has read the log up to some entry notices if the service tells another past, and nobody, the service included, can invent a
// change of a key that it does not hold. [Audit] checks all of that.
package names
