package hotlog

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
	"quicnprotochat/store/internal/disk"
)

// Options tune an engine. Only Dir must be given; the zero values of the rest are what a daemon wants.
type Options struct {
	Dir    string
	Quota  store.Quota
	Logger *slog.Logger     // default: discards
	Clock  func() time.Time // default: time.Now

	// Key encrypts what is on disk if it is given: KeySize bytes, the same at every Open.
	Key []byte

	SegmentBytes int64  // of a file of the log; default 64 MiB, at least 64 KiB. A single change must fit in a quarter of it.
	LogBytes     int64  // of the log, beyond which its oldest file is retired; default 256 MiB
	HotRecords   int    // messages in the log beyond which its oldest file is retired; default 1,000,000, about 200 bytes of memory each at most
	PayloadCache int    // bytes of recent messages that are kept in memory; default 64 MiB
	Owners       int    // identities and groups kept in memory beside those in the log, about 500 bytes each; default 131,072
	IDFilters    int    // bytes of memory for knowing which message ids do not stand on disk, one for each; default 512 MiB
	TreeCache    int64  // bytes of the tree's block cache; default 64 MiB
	Reserve      uint64 // free disk space below which new data is refused with ErrFull; default 64 MiB

	DefaultTTL time.Duration // of messages that do not say; default 30 days
	MaxTTL     time.Duration // default 90 days

	FS vfs.FS // default: the real one, files 0600, directories 0700
}

const minSegment = 64 << 10

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, fmt.Errorf("%w: no directory", store.ErrInvalid)
	}
	if n := len(o.Key); n != 0 && n != KeySize {
		return o, fmt.Errorf("%w: a key of %d bytes, want %d", store.ErrInvalid, n, KeySize)
	}
	o.Quota = o.Quota.WithDefaults()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	setDefault(&o.SegmentBytes, 64<<20)
	setDefault(&o.LogBytes, 256<<20)
	setDefault(&o.HotRecords, 1_000_000)
	setDefault(&o.PayloadCache, 64<<20)
	setDefault(&o.Owners, 131_072)
	setDefault(&o.IDFilters, 512<<20)
	setDefault(&o.TreeCache, 64<<20)
	setDefault(&o.Reserve, 64<<20)
	setDefault(&o.DefaultTTL, store.DefaultTTL)
	setDefault(&o.MaxTTL, store.MaxTTL)
	if o.FS == nil {
		o.FS = disk.Private(vfs.Default)
	}
	if o.SegmentBytes < minSegment || o.LogBytes < 0 || o.HotRecords < 0 || o.PayloadCache < 0 || o.Owners < 0 || o.IDFilters < 0 || o.DefaultTTL < 0 || o.MaxTTL < 0 {
		return o, errors.Join(store.ErrInvalid, errors.New("an option is negative, or segments are too small"))
	}
	return o, nil
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}
