// Package client is what the command line and the load harness stand on.
//
// It has two floors. [Session] is one connection: typed calls to the authentication and delivery services, and what the server pushes.
// It keeps nothing. [Account] stands on it and on a state directory: an identity, its KeyPackages, its MLS groups, an outbox and the
// messages not yet read. Every step of an Account is one transaction of the state, ordered so that a crash at any point neither
// uses a message key twice nor loses a message that was acknowledged to the server:
//
//   - sending: ratchet forward and outbox entry are saved together, then sent, then the entry is removed;
//   - receiving: the new MLS state, the plaintext and the queue's cursor are saved together, then acknowledged;
//   - committing: the staged commit and its outbox entries are saved together, sent, and merged when the service has accepted them
//     (RFC 9420 section 14, requirement 4).
//
// A Session is safe for concurrent use; an Account is too, one operation at a time.
package client
