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
  # As uploadKeyPackage for 1 to 256 packages of the caller: all or none. available: usable packages in the pool afterwards, of all suites.
  # A last-resort package takes the place of the one before of its cipher suite.
  # Errors: as uploadKeyPackage.

  poolStatus @3 () -> (available :UInt32, lastResort :Bool, lowWater :UInt32, suites :List(SuitePool));
  # The caller's own pool: usable single-use packages, whether a last-resort package stands behind them, and the number below which
  # the owner should publish more. suites: the same for each cipher suite that has something, ascending; lowWater is meant for each.
  # No effect: may run in 0-RTT.

  serverInfo @4 () -> (info :ServerInfo);
  # What the server is and which limits it enforces. No effect: may run in 0-RTT.

  claimKeyPackages @5 (identityKey :Data, suites :List(UInt16)) -> (packages :List(Data));
  # Takes one KeyPackage of each of the cipher suites out of the pools of identityKey (32 bytes), and not more: the smallest set that is of use.
  # suites: 1 to 16, each named once; a suite of which there is none is left out of packages, which are in the order of suites. Each package is the oldest
  # single-use one of its suite that has not expired; its removal is durable before this returns, in one step for all. Only a suite that has none is
  # answered with its last-resort package, which stays. The owner is told of a low pool and of a last-resort package that was handed out (Notice.poolLow).
  # A call counts once against the limits of claims, which it shares with fetchKeyPackage: by default 6 in any 10 minutes by one caller of one
  # identity (the caller's own too), 4,096 by one caller, 256 of one identity.
  # Errors: invalidArgument (not 32 bytes, suites), rateLimited (nothing was taken).
}

struct SuitePool {
  # Usable packages of one cipher suite (RFC 9420 section 17.1).

  suite @0 :UInt16;
  available @1 :UInt32;
  lastResort @2 :Bool;
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
}
