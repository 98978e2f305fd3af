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

  # Names. The rules for them, what is signed and the bytes of an entry stand in docs/protocol.md; what is said here of a name is what the log says.

  resolveName @6 (name :Text) -> (status :NameStatus);
  # Whose key a name stands for. A name that nobody claimed is no error: version is 0. No effect: may run in 0-RTT.
  # Errors: invalidArgument (not a name).

  claimName @7 (name :Text, signature :Data) -> (entry :Data);
  # Gives a free name to the caller's key: first come. signature: 64 bytes, the caller's, over the statement of kind claim and version 1.
  # entry: the entry of the log; durable when it returns. Repeating a change that is the name's last returns its entry and changes nothing (rotateName and
  # revokeName too).
  # Errors: invalidArgument, notAuthorized (signature), exists (claimed before, or revoked), quotaExceeded (a client claims 8 names at most, those that it
  # revoked included), rateLimited (by default 16 calls in an hour of one caller that
  # change names, 10,000 claims by all, and 10,000 rotations).

  rotateName @8 (name :Text, version :UInt64, newKey :Data, oldSignature :Data, newSignature :Data) -> (entry :Data);
  # Hands a name on to another key of the same client. The caller is the key that has the name, or newKey (32 bytes). version: NameStatus.version + 1.
  # Both signatures are over the statement of kind rotate. newKey is then known as the same client's (sameClient).
  # Errors: invalidArgument (another version too), notAuthorized (neither key is the caller's, or a signature is wrong), notFound (nobody has the name), exists
  # (revoked, or newKey is another client's), rateLimited.

  revokeName @9 (name :Text, version :UInt64, signature :Data) -> (entry :Data);
  # Takes a name from its key for good: nobody can claim it again. Anybody may hand in the signature, 64 bytes, of the key that has the name over the statement of
  # kind revoke; so it can be made ahead and kept elsewhere. version: NameStatus.version + 1.
  # Errors: as rotateName.

  nameHistory @10 (name :Text, from :UInt64, max :UInt32) -> (entries :List(Data), more :Bool);
  # The entries of one name with numbers from on, ascending, at most max (1 to 256). Their versions are 1, 2, 3 ... No effect: may run in 0-RTT.
  # Errors: invalidArgument.

  nameLog @11 (from :UInt64, max :UInt32) -> (entries :List(Data), head :NameHead);
  # The entries of the whole log from number from on (at least 1), ascending and without a gap, at most max (1 to 256). No effect: may run in 0-RTT.
  # Errors: invalidArgument.

  sameClient @12 (a :Data, b :Data) -> (same :Bool);
  # Whether two keys (32 bytes each) are one client's: equal, or joined by rotations. No effect: may run in 0-RTT.
  # Errors: invalidArgument.
}

struct NameStatus {
  version @0 :UInt64;
  # How many changes the name had. 0: nobody claimed it yet, and all below but logId is empty.

  key @1 :Data;
  # 32 bytes: who has it. Of a revoked name: who had it last.

  revoked @2 :Bool;
  # Nobody has it any more, nor ever will.

  changedAt @3 :Int64;
  # When the last change was made, milliseconds since 1970-01-01 UTC.

  entry @4 :Data;
  # The last change, as it stands in the log.

  logId @5 :Data;
  # 32 bytes: names the log. It is part of what is signed.
}

struct NameHead {
  # Where the log ends.

  logId @0 :Data;
  # As in NameStatus.

  number @1 :UInt64;
  # Of the last entry; 0 for none.

  hash @2 :Data;
  # SHA-256 of the last entry; of an empty log logId.
}

struct SuitePool {
  # Usable packages of one cipher suite (RFC 9420 section 17.1).

  suite @0 :UInt16;
  available @1 :UInt32;
  # Single-use ones.

  lastResort @2 :Bool;
  # Whether a last-resort package stands behind them.
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
