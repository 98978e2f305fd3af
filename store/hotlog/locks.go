package hotlog

import (
	"hash/maphash"
	"sync"
)

// locks are locks of keys of the tree, several keys to a lock. They are held by callers, across reads and ops; nobody takes two of one set. The zero value
// works once it has a seed.
type locks struct {
	seed    maphash.Seed
	stripes [256]sync.Mutex
}

// of returns the lock of a key.
func (l *locks) of(key []byte) *sync.Mutex {
	return &l.stripes[maphash.Bytes(l.seed, key)%uint64(len(l.stripes))]
}
