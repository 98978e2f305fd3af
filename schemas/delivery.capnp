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

  enqueueMany @2 (submissions :List(Submission), receipts :Bool) -> (results :List(SubmissionResult), receipt :Receipt);
  # Stores 1 to maxBatch submissions, in order, with a result for each; all that is reported stored is on disk.
  # Errors: invalidArgument (empty, too many, a field of a wrong size), tooLarge (a payload, or payload bytes times recipients above 64 MiB in
  # all): then nothing is stored. unavailable (disk): part may be
  # stored; repeating with the same ids is safe. receipts: answer with a receipt, too; unavailable may then also mean that all is stored and no receipt was signed.

  fetchAfter @3 (cursor :Env.Cursor, maxMessages :UInt32, maxBytes :UInt32) -> (envelopes :List(Env.Envelope), more :Bool);
  # Messages of one queue of the caller above cursor.seq, ascending; 0 for either maximum: the server's own (256; 512 KiB), which is also
  # the upper limit; a single larger message is returned alone. more: there was more than fitted. Errors: invalidArgument.
  # No effect: may run in 0-RTT.

  queues @4 (afterGroupId :Data, max :UInt32, afterShared :Bool) -> (queues :List(QueueStatus), more :Bool);
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

  createGroup @7 (groupId :Data, epoch :UInt64, groupInfo :Data) -> ();
  # Makes an ordered group with the caller as founder and only member; durable when it returns. groupId: 16 to 64 bytes, random (RFC 9420 section
  # 5.1 leaves its choice open; the service refuses nothing else). epoch: the one that the group is in. groupInfo: an MLSMessage with a GroupInfo of that group and
  # epoch, or empty. Repeating it exactly while nothing happened to the group changes nothing. Errors: invalidArgument, exists, quotaExceeded, tooLarge.

  commit @8 (commit :Commit, receipts :Bool) -> (result :CommitResult);
  # Puts a commit into the group's order if the group is in commit.epoch, and with it, in one durable step, its Welcomes into the inboxes, the change of
  # the roster, and the new GroupInfo. At most one commit wins an epoch. A lost race is a result, not an error. Errors: notFound (no such group, or the
  # caller is neither a member nor invited: which of them is not told), invalidArgument, tooLarge, quotaExceeded.

  post @9 (posts :List(Post), receipts :Bool) -> (results :List(PostResult), receipt :Receipt);
  # Stores 1 to maxBatch messages of groups that the caller is a member of, in order, with a result for each; each message is stored once however many members
  # there are. Errors: as enqueueMany.

  group @10 (groupId :Data) -> (status :GroupStatus);
  # What a member may know of a group. Errors: notFound. No effect: may run in 0-RTT.

  members @11 (groupId :Data, from :Data, max :UInt32) -> (members :List(Data), more :Bool);
  # The roster in byte order from the first at or above from (32 bytes, or empty), at most max (0: 256, which is also the upper limit). For members only. Errors:
  # notFound, invalidArgument. No effect: may run in 0-RTT.

  groupInfo @12 (groupId :Data) -> (epoch :UInt64, groupInfo :Data);
  # The GroupInfo of the current epoch, for an external commit (RFC 9420 section 12.4.3.2). For members and invited ones. Errors: notFound (also when the
  # current epoch has none). No effect: may run in 0-RTT.

  invite @13 (groupId :Data, invited :List(Data), revoked :List(Data)) -> ();
  # Lets identities (32 bytes each, at most 256 in both lists, 1,024 invited in a group) fetch the GroupInfo and join by an external commit, or no longer. For members. An
  # invitation ends with the commit by which it is used. Errors: notFound, invalidArgument, quotaExceeded.

  claimCommit @14 (groupId :Data) -> (epoch :UInt64, deadline :Int64);
  # Waits for the group's commit slot, which one has at a time, first come first served; until deadline (milliseconds since 1970) only its holder's commits are accepted in
  # the group, others get the result slotTaken. It ends with the holder's commit, with releaseCommit, with the deadline, or with the RPC stream that it was claimed
  # on. Only who lost the race for an epoch three times since its last won commit may claim (notAuthorized). Errors: notFound, notAuthorized, rateLimited (too many wait).

  releaseCommit @15 (groupId :Data) -> ();
  # Gives the caller's slot, or its place in the line, back. Harmless without one.

  reportCommit @16 (groupId :Data, seq :UInt64) -> (reports :UInt32, needed :UInt32);
  # Says that the commit at seq, which must be the one that led to the current epoch, cannot be processed. For who was a member before it, even if it removed the
  # caller. Once the founder, or `needed` members (more than half of the roster before that commit, without its sender, and without those whom the founder removed by it), said so, a
  # member may replace it: see Commit.replaces. needed is 1 when the founder said so. Who reported what is recorded. Errors: notFound, invalidArgument (another seq, or the
  # group has no commit), notAuthorized (the caller came with that commit).

  putBlob @17 (hash :Data, size :UInt64, offset :UInt64, data :Data) -> (have :UInt64, complete :Bool);
  # Adds a chunk to a blob of the caller's: content of size bytes (at most 100 MiB) with SHA-256 hash, encrypted by the client. A call carries one whole chunk: 256 KiB from a
  # multiple of that on, the last one what is left. Chunks come in order; data at another offset than have is ignored, so that an upload is resumed by asking with empty data. With the last chunk
  # the whole is checked. A chunk is durable when it returns; an upload that stops is dropped after 24 hours. Errors: invalidArgument (hash wrong: the upload is dropped; another size than was
  # said before), quotaExceeded (the blobs of who sent the first chunk), tooLarge, rateLimited (more than 16 calls for blobs under way on a connection), unavailable (disk).

  getBlob @18 (hash :Data, offset :UInt64, max :UInt32) -> (data :Data, size :UInt64);
  # A complete blob from offset to the end of the chunk of 256 KiB that it is in, at most max bytes (0: all of that); size is the whole blob's. Who knows the hash may read
  # it. Errors: notFound, invalidArgument (offset at or above size), rateLimited (as putBlob). No effect: may run in 0-RTT.
}

struct Commit {
  # A commit with all that happens if it wins (RFC 9420 section 14).

  groupId @0 :Data;
  epoch @1 :UInt64;
  # The epoch that the commit was made in. With replaces: one less than the current one.

  id @2 :Data;
  # 16 bytes, random: repeating a commit that won with the same id is answered with the first result.

  message @3 :Data;
  # MLSMessage with a PrivateMessage or PublicMessage of content type commit, whose group id and epoch are these.

  welcomes @4 :List(Welcome);
  # At most one for each of added.

  added @5 :List(Data);
  removed @6 :List(Data);
  # 32 bytes each. The caller of an external commit is in added. At most 2,048 together.

  groupInfo @7 :Data;
  # MLSMessage with the GroupInfo of epoch + 1, or empty: then nobody joins by external commit in that epoch.

  replaces @8 :Bool;
  # In place of the commit that led to the current epoch, which was reported (reportCommit). The roster is first set back to what it was before that one: who
  # was added by it reads up to this commit, who was removed by it reads on. The epoch stays. For who was a member before the commit that is replaced; not for newcomers. The call fails with
  # notAuthorized while too few have reported.
}

struct Welcome {
  # An MLSMessage with a Welcome for some of those who are added.

  recipients @0 :List(Data);
  # 1 or more identity keys of 32 bytes.

  payload @1 :Data;
  # MLSMessage with the Welcome, at most maxPayload bytes.
}

struct CommitResult {
  status @0 :CommitStatus;
  # What became of it.

  seq @1 :UInt64;
  # accepted, duplicate: the commit's place in the group's order. wrongEpoch: the highest place in it, so that the winner is at or below.

  epoch @2 :UInt64;
  # The group's epoch after the call.

  deadline @3 :Int64;
  # slotTaken: when the slot ends at the latest, milliseconds since 1970.

  receipt @4 :Receipt;
  # Of the commit, if it was asked for, and accepted or a duplicate.
}

enum CommitStatus {
  unknown @0;
  accepted @1;
  duplicate @2;
  # This id won before.

  wrongEpoch @3;
  # Another commit won, or this one is of a future that the group has not reached.

  slotTaken @4;
  # Another member was let first: see claimCommit.

  quotaExceeded @5;
  # The group's log, a Welcome's inbox, or the roster is full.
}

struct Post {
  # One message for all members of a group.

  groupId @0 :Data;
  id @1 :Data;
  # As in Submission.

  payload @2 :Data;
  # MLSMessage with a PrivateMessage of content type application or proposal, or a PublicMessage of content type proposal, of the group groupId. A proposal must be of the current
  # epoch; an application message of that one or an earlier one.

  expires @3 :Int64;
  # Milliseconds since 1970; 0: the server's default; later than its maximum: that.

  blobs @4 :List(Data);
  # Hashes of complete blobs that live at least as long as the message. At most 16.
}

struct PostResult {
  status @0 :EnqueueStatus;
  seq @1 :UInt64;
  # Place in the group's order; 0 if not stored.

  epoch @2 :UInt64;
  # wrongEpoch: the current one.
}

struct GroupStatus {
  epoch @0 :UInt64;
  members @1 :UInt32;
  last @2 :UInt64;
  # Highest place in the group's order.

  acknowledged @3 :UInt64;
  # The caller's cursor.

  founder @4 :Data;
  reports @5 :UInt32;
  # Of the commit that led to this epoch.

  commitSeq @6 :UInt64;
  # Place of the commit that led to this epoch; 0 for none.
}

struct Receipt {
  # Proof that the service accepted messages: its signature over the root of a Merkle tree (RFC 9162 section 2.1, SHA-256) of all for which a receipt was asked at one
  # moment. docs/protocol.md says what a leaf is, and what is signed. Empty if it was not asked for, if nothing was stored, or if the server gives none.

  key @0 :Data;
  # Ed25519 public key of the service, 32 bytes.

  time @1 :Int64;
  # Of the signature, by the service's clock, milliseconds since 1970.

  size @2 :UInt64;
  # Leaves of the tree.

  root @3 :Data;
  # Of the tree, 32 bytes.

  signature @4 :Data;
  # Ed25519, 64 bytes.

  leaves @5 :List(ReceiptLeaf);
  # One for each message of the call that was stored or is a duplicate, in order.
}

struct ReceiptLeaf {
  index @0 :UInt64;
  path @1 :List(Data);
  # Inclusion proof, 32 bytes each, from the leaf up.
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

  expires @4 :Int64;
  # As in Post.

  blobs @5 :List(Data);
  # As in Post.
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
  # The recipient's queue, or its number of queues, or the caller's part of it, is at its limit. Nothing was stored for this recipient.

  noBlob @4;
  # A blob is not there, or not complete. Nothing was stored.

  notMember @5;
  # There is no such group, or the caller is no member. Nothing was stored.

  wrongEpoch @6;
  # The group is in another epoch than the message is for. Nothing was stored.
}

struct SubmitFrame {
  # Client to server on a SUBMIT stream, one Cap'n Proto message (standard stream framing, unpacked) a frame: what one call of enqueueMany or post would bring, under the
  # same limits and with the same effect.

  union {
    submissions @0 :List(Submission);
    # As enqueueMany takes them.

    posts @1 :List(Post);
    # As post takes them.
  }

  relaxed @2 :Bool;
  # The client goes on without the answer: it may come a few milliseconds later, with those of other frames.
}

struct SubmitAnswer {
  # Server to client on a SUBMIT stream: one for each frame, in the order of the frames.

  union {
    outcomes @0 :List(Outcome);
    # Of submissions: one for each recipient of each, in order. Of posts: one for each. All that is stored or a duplicate is on disk.

    failed @1 :Text;
    # The reason of the exception with which the call would have failed. The stream goes on.
  }
}

struct Outcome {
  status @0 :EnqueueStatus;
  seq @1 :UInt64;
  epoch @2 :UInt64;
  # As in RecipientResult and PostResult.
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

  shared @5 :Bool;
  # As in Cursor.
}
