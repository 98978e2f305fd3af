package store

import "context"

const (
	// MaxKey is the longest key of a record, bytes.
	MaxKey = 256
	// MaxValue is the largest value of a record, bytes.
	MaxValue = 64 << 10
)

// Record is a small value under a key of 1 to MaxKey bytes: a name, a key, a setting. Version is different at every change, and never 0.
type Record struct {
	Key     string
	Value   []byte
	Version uint64
}

// Records are small values that change by compare-and-set.
type Records interface {
	// GetRecord returns the record under key. Errors: ErrNotFound, ErrInvalid, ErrCorrupt, ErrClosed.
	GetRecord(ctx context.Context, key string) (Record, error)

	// PutRecord sets the value (1 to MaxValue bytes) under key, or removes it if value is empty, if its version is what is given; 0 stands for none. It is
	// durable when it returns the new version, which is 0 for none. Errors: ErrChanged (another version is there, or none), ErrInvalid, ErrTooLarge,
	// ErrFull, ErrFailed, ErrClosed.
	PutRecord(ctx context.Context, key string, value []byte, version uint64) (uint64, error)

	// ListRecords lists the records whose keys begin with prefix, in byte order, from the first at or above from, at most max. Errors:
	// ErrInvalid, ErrCorrupt, ErrClosed.
	ListRecords(ctx context.Context, prefix, from string, max int) (records []Record, more bool, err error)
}
