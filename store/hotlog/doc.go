// Package hotlog is the store engine: a hot log and a cold tree.
//
// Most messages live for milliseconds: they arrive, are pushed, and are acknowledged. They only ever touch one shared log (store/internal/wal),
// and memory. What is still there when its segment of the log is retired moves to a tree (pebble), and whatever is seldom used lives in the tree alone.
//
// # One decider
//
// A caller checks its arguments, pins the objects that it touches (an identity with all its queues, or a group), which loads them from the
// tree if they are not in memory, looks up what else has to be read, and hands an op to the decider. The decider takes all ops that wait, asks
// the log for room, decides each in turn against what is in memory, encodes what it decides, and writes it; one fdatasync later it publishes that, and
// answers. While the disk syncs the decider goes on, and the next sync is for all that it wrote meanwhile. So numbers, duplicates, quotas and epochs are decided in one place, many callers share the wait, nobody sees what
// could still be lost, and nothing that was decided is ever taken back: only the disk can fail then, which stops the engine (ErrFailed).
//
// Each entry of a stream carries the number of its batch, and readers see the batches up to Store.durable. Acknowledgements do not wait for the
// disk, only for the write.
//
// # The tree has no log of its own
//
// Our log is its log. A change of the tree is decided by an op (batch.changeLogged), applied when the batch is durable, and said again by the log until the tree
// has been flushed: the tree flushes in the order of what it was given, so the note of where the log begins (kindFirst) is never ahead of the
// rest. All changes are plain sets and deletions of whole values, so that replaying them does no harm. What is not durable in the log never reaches the tree.
//
// # Retirement
//
// When the log is too long (Options.LogBytes, Options.HotRecords), the retirer moves what the oldest segment still holds to the tree, in small steps: first
// a copy, then an op that says so (movedOp), which drops the entries from memory, and removes what was acknowledged between the two. A stream of which the log
// says nothing any more gets its state into the tree, and is clean; an object whose streams are all clean can be evicted. Records carry absolute
// state, so the streams that later segments tell of need nothing. The message ids of a segment become a sorted file of their own (store/internal/idset), in buckets of some hours. A caller looks an
// id up there before it submits, the decider in its window after; an id leaves the window only after such a file holds it, and an op that looked before that (idEpoch)
// looks again. The window keeps the ids by segment, newest first: those of one leave it together, in one op, and nobody adds to them once it was taken, so the retirer sorts them
// beside the decider.
//
// Whatever is large and in no hurry, a new segment of the log or a file of ids, is written in pieces with pauses (disk.Settle): the log's syncs would wait for the rest.
//
// # More ops
//
// Other parts of the engine are ops in files of their own:
//
//   - An op on values of the tree alone holds a lock of its key (Store.locks) in the caller, reads the values (tree.get), and submits a changeOp; the lock
//     is given back after it was answered, when the tree holds the change. Nobody else has to know of it.
//   - An op on objects in memory pins them (Store.pin) until it was answered. While the log knows more than the tree, the object must be dirty; if all
//     changes go to the tree as they are published, it need not be.
//   - An op that mixes messages and other changes makes one record of kind recordMany (batch.many), which is replayed whole or not at all. Its parts are
//     records: messages by their header, changes of the tree by recordTree.
//   - A log with many readers is a stream of a QueueID with Shared set, in the object of its group; its cursor is how far it was trimmed, by an ackOp. Members,
//     their cursors, the epoch and the GroupInfo are values of the tree (groups.go), which an acknowledgement changes without waiting for the disk: its record
//     says all about the log, too, so that the group stays in memory until the tree has it.
//   - Blobs are values of the tree alone, a chunk a change of it. What names one makes it live long enough before it is stored itself.
//   - Whatever expires has a function in Store.sweepers.
//
// # Snapshots
//
// A snapshot is what a crash would leave: a checkpoint of the tree, then the log as far as it is durable, while nothing is retired.
//
// # On disk
//
// The directory holds LOCK, FORMAT (version, and the secret that names are hashed with), log/, ids/ and tree/. With Options.Key the log is encrypted record by record, and
// the tree value by value (XAES-256-GCM, bound to the key). Names of queues, owners and ids in the tree's keys are keyed hashes; keys of small records stand as they are. What stays
// visible beside those are sizes, numbers of messages in each queue, and times by the hour.
package hotlog
