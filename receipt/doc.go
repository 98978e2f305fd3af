// Package receipt proves what a delivery service accepted: one signature over the root of a Merkle tree (RFC 9162 section 2.1) stands for many messages, each with
// a proof that it is in the tree. The service signs with a Signer; whoever has a Receipt, and knows the messages and the service's key, checks it with Verify, alone and at any time.
//
// docs/protocol.md tells every byte.
package receipt
