@0x9e61c2f70d83b5a4;
# The delivery service: durable store-and-forward queues. Reached by a stream of type 2 (DS).
#
# Every identity has an inbox (groupId empty: Welcomes and direct messages) and one queue for each group (groupId: 1 to 64
# bytes, opaque). Only the owner reads or acknowledges a queue; anybody may enqueue. The caller is the Ed25519 key of its TLS client
# certificate. Errors are exceptions whose reason starts with a code in brackets (docs/protocol.md). A call that fails has no effect.

using Go = import "/go.capnp";
using Env = import "envelope.capnp";
$Go.package("schemas");
$Go.import("quicnprotochat/schemas");

interface DeliveryService {
  enqueue @0 (recipientKey :Data, payload :Data) -> ();
  # Stores one payload (1 to maxPayload bytes) in the inbox of recipientKey (32 bytes), under an id of the server's choice; durable
  # when it returns. Repeating the call stores it twice: enqueueMany takes ids.
  # Errors: invalidArgument, tooLarge, quotaExceeded, unavailable (disk).

  fetch @1 (recipientKey :Data) -> (payloads :List(Data));
  # The oldest payloads of all queues of recipientKey, which must be the caller (32 bytes, or empty): inbox first, then
  # groups, up to 1,024 payloads and 512 KiB in all (a single larger one is returned alone). Nothing is removed: a message goes when it
  # is acknowledged. Errors: notAuthorized, invalidArgument. No effect: may run in 0-RTT.

  enqueueMany @2 (submissions :List(Submission)) -> (results :List(SubmissionResult));
  # Stores 1 to maxBatch submissions, in order, with a result for each; all that is reported stored is on disk.
  # Errors: invalidArgument (empty, too many, a field of a wrong size), tooLarge (a payload, or payload bytes times recipients above 64 MiB in
  # all): then nothing is stored. unavailable (disk): part may be
  # stored; repeating with the same ids is safe.

  fetchAfter @3 (cursor :Env.Cursor, maxMessages :UInt32, maxBytes :UInt32) -> (envelopes :List(Env.Envelope), more :Bool);
  # Messages of one queue of the caller above cursor.seq, ascending; 0 for either maximum: the server's own (256; 512 KiB), which is also
  # the upper limit; a single larger message is returned alone. more: there was more than fitted. Errors: invalidArgument.
  # No effect: may run in 0-RTT.

  queues @4 (afterGroupId :Data, max :UInt32) -> (queues :List(QueueStatus), more :Bool);
  # The caller's queues that hold something, in byte order of groupId from the first above afterGroupId (empty: from the inbox on; the inbox
  # comes first). max 0: 256, which is also the upper limit. No effect: may run in 0-RTT.

  acknowledge @5 (cursors :List(Env.Cursor)) -> ();
  # Cumulative: removes everything up to each cursor (at most 256) from the caller's queues. A cursor above the last stored seq
  # is invalidArgument. Never moves backwards; repeating is harmless.

  listen @6 (cursors :List(Env.Cursor), windowMessages :UInt32, windowBytes :UInt32) -> (windowMessages :UInt32, windowBytes :UInt32);
  # From now on until the connection ends, the server opens PUSH streams for the caller's queues that hold something: backlog first, then what
  # arrives, in one order without a gap. cursors (at most 1,024): acknowledged before the push begins, as by acknowledge, except that a
  # cursor above the last stored seq is ignored. The windows are per stream; 0: the server's default; the result says what is granted.
  # A second listen on one connection is invalidArgument.
}

struct Submission {
  # One message for one or more recipients.

  id @0 :Data;
  # 16 bytes, random: a repeated submission with the same id to the same queue is recognised for 24 hours or more, and stores nothing.

  groupId @1 :Data;
  # 0 to 64 bytes: the recipients' queue. Empty: their inbox.

  payload @2 :Data;
  # 1 to maxPayload bytes.

  recipients @3 :List(Data);
  # 1 or more identity keys of 32 bytes, none twice.
}

struct SubmissionResult {
  recipients @0 :List(RecipientResult);
  # In the order of Submission.recipients.
}

struct RecipientResult {
  status @0 :EnqueueStatus;
  # What became of it.

  seq @1 :UInt64;
  # Position in that recipient's queue; for a duplicate, that of the first. 0 if not stored.
}

enum EnqueueStatus {
  unknown @0;
  # Never sent; an absent field.

  stored @1;
  # On disk.

  duplicate @2;
  # The id was stored before, and that is on disk.

  quotaExceeded @3;
  # The recipient's queue, or its number of queues, is at its limit. Nothing was stored for this recipient.
}

struct QueueStatus {
  groupId @0 :Data;
  # 0 to 64 bytes; empty: the inbox.

  acknowledged @1 :UInt64;
  # Cumulative cursor.

  last @2 :UInt64;
  # Highest seq ever stored.

  messages @3 :UInt64;
  bytes @4 :UInt64;
  # What is stored and not acknowledged; bytes of payload.
}
