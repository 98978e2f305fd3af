@0xd2b47f1c55e0a6b1;
# What travels on PUSH streams, and the structures that the services share. docs/protocol.md tells how they are used.
#
# Rules for every file here: numbers are never reused, fields and methods are only ever added, an absent Data field reads as
# empty, and a limit that is named is enforced by the receiver, which answers a violation with a typed error and no effect.

using Go = import "/go.capnp";
$Go.package("schemas");
$Go.import("quicnprotochat/schemas");

struct Envelope {
  # One stored message, as it is delivered. Who sent it stands inside the MLS ciphertext; the service does not repeat it.

  seq @0 :UInt64;
  # Position in the recipient's queue: from 1, gapless at storing time, never used twice. A cumulative acknowledgement names it.

  id @1 :Data;
  # 16 bytes, chosen by the sender; the same for every delivery of the message. A receiver drops an id that it has seen.

  payload @2 :Data;
  # 1 to ServerInfo.maxPayload bytes, opaque to the service: an MLSMessage (RFC 9420 section 6).

  acceptedAt @3 :Int64;
  # When the service stored it, milliseconds since 1970-01-01 UTC.
}

struct Cursor {
  # A place in one queue of the caller: everything up to and including `seq` is meant.

  groupId @0 :Data;
  # 0 to 64 bytes. Empty: the inbox, which carries Welcomes. Otherwise the queue of this group.

  seq @1 :UInt64;
  # 0: nothing yet.

  shared @2 :Bool;
  # The order of the group groupId that all its members read (createGroup), in place of a queue of that name of the caller's own.
}

struct PushFrame {
  # Server to client on a PUSH stream, one Cap'n Proto message (standard stream framing, unpacked) a frame.

  union {
    open @0 :PushOpen;
    # Always the first frame of a stream, and only there.

    deliver @1 :List(Envelope);
    # 1 to 256 envelopes in ascending order of seq, without a gap among those that are still stored.

    notice @2 :Notice;
    # Only on the inbox's stream, after open.
  }
}

struct Notice {
  # Something that the owner should know, beside what is stored. It needs no acknowledgement and may be lost; the calls that it names tell the same.

  union {
    unknown @0 :Void;
    poolLow :group {
      # The pool of single-use KeyPackages is below its low-water mark, or the last-resort package was handed out: publish new ones (AS poolStatus).
      available @1 :UInt32;
      lastResortUsed @2 :Bool;
      # The last-resort package was handed out: others may know its init key, so rotate it.
    }
  }
}

struct PushOpen {
  # Which queue this stream carries. A connection has at most one open PUSH stream a queue (groupId and shared together).

  groupId @0 :Data;
  # As in Cursor.

  after @1 :UInt64;
  # The first envelope has a seq above this one: what is below was acknowledged.

  windowMessages @2 :UInt32;
  windowBytes @3 :UInt32;
  # The server sends at most so many messages and payload bytes beyond the last acknowledged one (a single larger message is
  # sent alone). Counted for this stream.

  shared @4 :Bool;
  # As in Cursor.
}

struct PushAck {
  # Client to server on a PUSH stream: cumulative. The client has stored everything up to `upTo`; the server may delete it.

  upTo @0 :UInt64;
  # Not above the highest seq that was delivered on this stream: a higher one ends the stream with error code 4 (protocol).
}
