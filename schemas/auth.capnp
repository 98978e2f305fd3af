@0xb8a3d10c6f2e4977;
# The authentication service: identities and their single-use KeyPackages. Reached by a stream of type 1 (AS).
#
# The caller is the Ed25519 key of its TLS client certificate. No argument overrides that: `identityKey` in an upload must be the
# caller's own key, or empty. Errors are Cap'n Proto exceptions whose reason starts with a code in brackets, listed in
# docs/protocol.md: "[invalidArgument] ...". A call that fails has no effect.

using Go = import "/go.capnp";
$Go.package("schemas");
$Go.import("quicnprotochat/schemas");

interface AuthenticationService {
  uploadKeyPackage @0 (identityKey :Data, package :Data) -> (fingerprint :Data);
  # Adds one KeyPackage to the caller's pool; durable when it returns.
  # identityKey: 32 bytes, the caller's own, or empty. package: raw TLS encoding of a KeyPackage (RFC 9420 section 10), not
  # wrapped in an MLSMessage, at most 16 KiB. fingerprint: SHA-256 of package, 32 bytes.
  # Uploading the same package again returns the same fingerprint and changes nothing, even after it was handed out.
  # Errors: notAuthorized (another's key), invalidArgument (not decodable, signature, suite, lifetime, credential or signature key
  # not the caller's), quotaExceeded (pool full: 1,000 packages).

  fetchKeyPackage @1 (identityKey :Data) -> (package :Data);
  # Takes one KeyPackage out of the pool of identityKey (32 bytes): its removal is durable before this returns, so each is
  # handed out at most once. Empty when there is none. An expired one is never returned. Oldest first.
  # Errors: invalidArgument (not 32 bytes), rateLimited.

  uploadKeyPackages @2 (packages :List(Data)) -> (fingerprints :List(Data), available :UInt32);
  # As uploadKeyPackage for 1 to 256 packages of the caller: all or none. available: usable packages in the pool afterwards.
  # Errors: as uploadKeyPackage.

  poolStatus @3 () -> (available :UInt32, lastResort :Bool, lowWater :UInt32);
  # The caller's own pool: usable single-use packages, whether a last-resort package stands behind them, and the number below which
  # the owner should publish more. No effect: may run in 0-RTT.

  serverInfo @4 () -> (info :ServerInfo);
  # What the server is and which limits it enforces. No effect: may run in 0-RTT.
}

struct ServerInfo {
  name @0 :Text;
  # Software name, "quicnprotochat".

  version @1 :Text;
  # Software version, for people to read.

  time @2 :Int64;
  # The server's clock, milliseconds since 1970-01-01 UTC.

  maxPayload @3 :UInt32;
  # Largest payload of a message, bytes.

  maxBatch @4 :UInt32;
  # Most submissions in one enqueueMany.

  maxRecipients @5 :UInt32;
  # Most recipients in one enqueueMany, over all its submissions.

  maxCallBytes @6 :UInt32;
  # Largest Cap'n Proto message that the server reads, bytes.

  receiptKey @7 :Data;
  # Ed25519 public key, 32 bytes, that the server signs receipts with (delivery.capnp); it does not change. Empty: it gives none.
}
