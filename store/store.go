package store

import (
	"context"
	"strings"
	"time"
)

// Limits of the interface itself, the same for every engine.
const (
	// MaxGroup is the length of the longest group id, bytes.
	MaxGroup = 64
	// MaxPayload is the largest payload of a message, bytes.
	MaxPayload = 1 << 20
	// MaxKeyPackage is the largest KeyPackage, bytes.
	MaxKeyPackage = 16 << 10
	// MaxBlobs is how many blobs one message can hold on to.
	MaxBlobs = 16
	// IDRetention is for how long at least a message id is recognised: after the message was stored, and after it was acknowledged.
	IDRetention = 24 * time.Hour
	// DefaultTTL and MaxTTL are for how long a message or a blob is kept that does not say, and at most, unless an engine is told otherwise.
	DefaultTTL = 30 * 24 * time.Hour
	MaxTTL     = 90 * 24 * time.Hour
)

// Identity is the Ed25519 public key that owns queues and KeyPackages, 32 bytes.
type Identity = [32]byte

// MessageID is chosen by the sender, at random.
type MessageID = [16]byte

// QueueID names one queue. Group is 0 to MaxGroup opaque bytes; empty is the owner's inbox. Shared says that it is the owner's view of
// the log that all members of the group read, each with its own cursor (see Groups); such a queue and one of the same name that is not
// shared have nothing to do with each other.
type QueueID struct {
	Owner  Identity
	Group  string
	Shared bool
}

// Next is the name that follows q among its owner's: a queue that is not shared comes before the shared one of the same group id.
func (q QueueID) Next() QueueID {
	if !q.Shared {
		q.Shared = true
		return q
	}
	return QueueID{Owner: q.Owner, Group: q.Group + "\x00"}
}

// Compare is the order of Next, among queues of one owner.
func (q QueueID) Compare(other QueueID) int {
	switch {
	case q.Group != other.Group:
		return strings.Compare(q.Group, other.Group)
	case q.Shared == other.Shared:
		return 0
	case other.Shared:
		return -1
	default:
		return 1
	}
}

// Message is one message for one queue that is not shared. Several messages of a call may share one Payload slice (1 to MaxPayload
// bytes), which must not change until the call returns.
type Message struct {
	Queue   QueueID
	ID      MessageID
	Payload []byte
	// Expires is when the message is given up, millisecond resolution: from then on Read does not return it, and Sweep removes it.
	// Zero stands for the engine's default; what is later than the engine's maximum is cut to it.
	Expires time.Time
	// Blobs are complete blobs that live at least as long as the message. At most MaxBlobs.
	Blobs []BlobID
}

// Status says what became of a Message.
type Status uint8

const (
	// Stored means on disk, at Result.Seq.
	Stored Status = iota + 1
	// Duplicate means that the queue holds or held the same id at Result.Seq, and that this is on disk.
	Duplicate
	// QuotaExceeded means that the queue, or the owner's number of queues, is at its limit; nothing was stored.
	QuotaExceeded
	// NoBlob means that a blob of the message is not there, or not complete; nothing was stored.
	NoBlob
	// NoGroup means that there is no such group; nothing was stored.
	NoGroup
	// NotMember means that the sender is not a member of the group; nothing was stored.
	NotMember
	// WrongEpoch means that the group is in another epoch than the message is for; nothing was stored.
	WrongEpoch
)

// Result is the answer to one Message. Seq is 0 when nothing was stored.
type Result struct {
	Status Status
	Seq    uint64
}

// Delivery is a stored message, as Read returns it. The caller owns Payload.
type Delivery struct {
	Seq        uint64
	ID         MessageID
	Payload    []byte
	AcceptedAt time.Time // millisecond resolution
}

// Page is what one Read found.
type Page struct {
	// Messages are in ascending order of Seq, without a gap but for what was acknowledged or has expired.
	Messages []Delivery
	// Acknowledged and Last are the queue's cursor and its highest sequence number at the time of the Read.
	Acknowledged, Last uint64
	// More says that the queue holds messages above those returned.
	More bool
}

// Cursor names everything in a queue up to and including Seq.
type Cursor struct {
	Queue QueueID
	Seq   uint64
}

// QueueStatus describes a queue that holds something. Bytes counts payload.
type QueueStatus struct {
	Group              string
	Shared             bool
	Acknowledged, Last uint64
	Messages, Bytes    uint64
}

// KeyPackage is one published KeyPackage (RFC 9420 section 10).
type KeyPackage struct {
	// Fingerprint is the SHA-256 of Data.
	Fingerprint [32]byte
	// InitKey is a hash of the HPKE init key, which must be unique among an owner's packages that have not expired.
	InitKey [32]byte
	// NotAfter is when the lifetime ends, second resolution; from then on it is not handed out.
	NotAfter time.Time
	// LastResort marks the package that is handed out, and kept, when no other is left. A new one takes the place of the old (of its suite, see
	// SuitePools).
	LastResort bool
	Data       []byte
}

// PoolStatus counts KeyPackages that have not expired.
type PoolStatus struct {
	Available  int // single-use
	LastResort bool
}

// Watcher hears of news in the queues of one owner. Its methods may be called from any goroutine.
type Watcher interface {
	// C receives after news, at once and coalesced.
	C() <-chan struct{}
	// Take returns the queues with news since the last Take, in no order: messages became readable, or a cursor moved. all means
	// that there were too many to remember: any queue may have news.
	Take() (queues []QueueID, all bool)
	// Call has f called after news, in place of what C receives: once, and not again before a Take. If there is news already, it is called at once. f must not block, nor
	// use the store, but it may Take.
	Call(f func())
	// Close ends it. C is not closed.
	Close()
}

// SweepResult says what a Sweep did.
type SweepResult struct {
	// Removed counts whatever the engine keeps with an end of its own: messages, KeyPackages and their fingerprints, blobs, message ids.
	Removed int
	// More says that the budget was used up first.
	More bool
}

// Stats are counters since the store was opened, and sizes now.
type Stats struct {
	Stored, Duplicates, QuotaExceeded uint64 // messages
	Acknowledged                      uint64 // messages
	KeyPackagesPut, KeyPackagesTaken  uint64
	Commits, Syncs                    uint64 // batches written; of these, waited for the disk
	Swept                             uint64 // things that Sweep removed
	Moved                             uint64 // messages that went, in the background, to where those lie that are not soon acknowledged
	Corrupt                           uint64 // places that could not be read when it was opened
	DiskBytes                         uint64
	Watchers                          int
}

// Backup is the part of an engine that backs up and drops whole things.
type Backup interface {
	// Snapshot writes a copy of everything durable at one moment between call and return to dir, which must not exist, while all goes on. The
	// copy can be opened as a store of its own; a record's version of one says nothing to the other. When it fails nothing is left of the copy. Errors: ErrExists,
	// ErrInvalid, ErrFull, ErrFailed, ErrClosed, the context's.
	Snapshot(ctx context.Context, dir string) error

	// Drop forgets what q holds: the queue's messages, or, if q is shared, the whole group with its log and members, whoever q.Owner is. Durable
	// when it returns. Errors: ErrNotFound (no such group), ErrInvalid, ErrFull, ErrFailed, ErrClosed.
	Drop(ctx context.Context, q QueueID) error
}

// Messages are queues of messages: an inbox has one reader, as have the other queues that are not shared.
//
// Order: within one queue, sequence numbers are 1, 2, 3 ... in the order in which messages become readable, and a number is never
// used a second time, neither after the queue was emptied nor after a crash. (A queue that was empty and unused for more than twice
// IDRetention may be forgotten to make room for another; when it comes back its numbers go on above every one it had.)
type Messages interface {
	// Enqueue stores messages in order, and returns a result for each. When it returns, all that is stored or duplicate is
	// on disk; concurrent callers share the wait. It is not atomic: each message stands alone. A message becomes readable only when it is
	// on disk. A repeated id in a queue stores nothing and is answered with the first's Seq.
	// Errors: ErrInvalid, ErrTooLarge (nothing stored), ErrFull, ErrFailed, ErrClosed, the context's.
	Enqueue(ctx context.Context, messages []Message) ([]Result, error)

	// Read returns messages of q above after (and above the acknowledged cursor), at most maxMessages and maxBytes of payload, but always
	// one if there is one. A queue that does not exist is an empty one. Nothing is removed.
	// Errors: ErrInvalid (a limit below 1), ErrCorrupt, ErrClosed.
	Read(ctx context.Context, q QueueID, after uint64, maxMessages, maxBytes int) (Page, error)

	// Acknowledge removes everything up to each cursor. It never moves a cursor backwards. The removal may be lost in a crash of the machine:
	// the messages are then delivered once more. Errors: ErrBeyondLast (nothing removed), ErrInvalid, ErrFailed, ErrClosed.
	Acknowledge(ctx context.Context, cursors []Cursor) error

	// Queues lists the queues of from.Owner that hold something, in byte order of group and as Next says, from the first at or above from, at most
	// max; more says that others follow. A queue all of whose messages have expired is listed until it was swept. Errors: ErrInvalid, ErrCorrupt, ErrClosed.
	Queues(ctx context.Context, from QueueID, max int) (queues []QueueStatus, more bool, err error)

	// Watch subscribes to hints about the owner's queues. Hints may be lost only across processes; subscribe first, then read.
	Watch(owner Identity) (Watcher, error)
}

// KeyPackages are pools of what others need to add an identity to a group (RFC 9420 section 10).
type KeyPackages interface {
	// PutKeyPackages adds packages to the owner's pool, all or none, durable when it returns. A package whose fingerprint was put
	// before, even if it was handed out since, changes nothing, until its NotAfter. Errors: ErrConflict, ErrQuota, ErrTooLarge,
	// ErrInvalid, ErrFull, ErrFailed, ErrClosed.
	PutKeyPackages(ctx context.Context, owner Identity, packages []KeyPackage) error

	// TakeKeyPackage removes the owner's oldest package that has not expired; the removal is on disk before it returns, so that
	// each is returned at most once (RFC 9420 section 16.8). With none left it returns the last-resort package, which stays; of several (see SuitePools)
	// the oldest. Errors: ErrNotFound, ErrFailed, ErrClosed.
	TakeKeyPackage(ctx context.Context, owner Identity) (KeyPackage, error)

	// CountKeyPackages describes the owner's pool. Errors: ErrClosed.
	CountKeyPackages(ctx context.Context, owner Identity) (PoolStatus, error)
}

// Store is durable state behind the services. All methods may be called from any number of goroutines.
type Store interface {
	Messages
	KeyPackages
	SuitePools
	Groups
	Records
	Blobs
	Backup
	Lines

	// Sweep removes what has expired, at most budget things; call it again while More. Errors: ErrFailed, ErrClosed.
	Sweep(ctx context.Context, budget int) (SweepResult, error)

	// Stats returns counters; it does not block.
	Stats() Stats

	// Failed is closed when the engine stopped writing for good (ErrFailed).
	Failed() <-chan struct{}

	// Close waits for calls under way, makes everything durable and releases the directory. Later calls return ErrClosed; a second Close too.
	Close() error
}

// Quota bounds what one owner can hold. Zero fields stand for the defaults.
type Quota struct {
	Messages    uint64 // in a queue, or in a group's log; default 100,000
	Bytes       uint64 // of payload in a queue, or in a group's log; default 256 MiB
	Queues      int    // of an owner; default 1,024
	KeyPackages int    // single-use, of an owner; default 1,000
	Groups      int    // that an identity is a member of; default 1,024
	Members     int    // of a group; default 10,000
	BlobBytes   uint64 // of an owner's blobs; default 1 GiB
}

// WithDefaults returns q with its zero fields filled in.
func (q Quota) WithDefaults() Quota {
	if q.Messages == 0 {
		q.Messages = 100_000
	}
	if q.Bytes == 0 {
		q.Bytes = 256 << 20
	}
	if q.Queues == 0 {
		q.Queues = 1024
	}
	if q.KeyPackages == 0 {
		q.KeyPackages = 1000
	}
	if q.Groups == 0 {
		q.Groups = 1024
	}
	if q.Members == 0 {
		q.Members = 10_000
	}
	if q.BlobBytes == 0 {
		q.BlobBytes = 1 << 30
	}
	return q
}
