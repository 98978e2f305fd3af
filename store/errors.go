package store

import "errors"

// The errors of every engine; a call wraps one of them where it applies, so test with errors.Is. A call that fails has no effect, but for
// Enqueue and Acknowledge after ErrFailed, ErrClosed or an ended context: part may have been done, and repeating is safe.
var (
	// ErrInvalid says that an argument breaks a documented limit or shape.
	ErrInvalid = errors.New("store: invalid argument")
	// ErrTooLarge says that a payload or a KeyPackage is larger than the engine's limit.
	ErrTooLarge = errors.New("store: too large")
	// ErrBeyondLast says that a cursor names a sequence number that was never assigned.
	ErrBeyondLast = errors.New("store: cursor above the last stored message")
	// ErrNotFound says that there is nothing to hand out.
	ErrNotFound = errors.New("store: not found")
	// ErrConflict says that a KeyPackage repeats the init key of another one.
	ErrConflict = errors.New("store: init key already published")
	// ErrExists says that there is such a group, or such a directory, already.
	ErrExists = errors.New("store: exists already")
	// ErrEpoch says that a commit was made in another epoch than the group is in; see EpochError.
	ErrEpoch = errors.New("store: another epoch")
	// ErrNotMember says that the sender is not a member of the group.
	ErrNotMember = errors.New("store: not a member")
	// ErrChanged says that a record has another version than was expected.
	ErrChanged = errors.New("store: record has changed")
	// ErrHash says that the chunks of a blob do not have the hash that it was named by.
	ErrHash = errors.New("store: blob has another hash")
	// ErrQuota says that something is at its limit: a pool of KeyPackages, the groups of a member, the members of a group, an owner's blobs.
	ErrQuota = errors.New("store: quota exceeded")
	// ErrFull says that the disk has no room to spare. Reads and acknowledgements go on, and it heals when there is room again.
	ErrFull = errors.New("store: disk full")
	// ErrFailed says that the engine stopped writing after an I/O error. Reads go on as far as the disk lets them; only opening it anew heals it.
	ErrFailed = errors.New("store: stopped after an I/O error")
	// ErrCorrupt says that a record on disk cannot be decoded.
	ErrCorrupt = errors.New("store: corrupt record")
	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("store: closed")
	// ErrLocked says that another process, or another store of this one, uses the directory.
	ErrLocked = errors.New("store: directory in use")
	// ErrVersion says that the directory was written by a newer version of this program, or is not a store.
	ErrVersion = errors.New("store: unknown format version")
)
