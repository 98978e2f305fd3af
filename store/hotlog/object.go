package hotlog

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"

	"quicnprotochat/store"
)

// objectKey names what is in memory as a whole: an identity with all its queues, or a group, by the SHA-256 of its id.
type objectKey struct {
	id    [32]byte
	group bool
}

func keyOf(q *store.QueueID) objectKey {
	if q.Shared {
		return objectKey{sha256.Sum256([]byte(q.Group)), true}
	}
	return objectKey{id: q.Owner}
}

// object is an identity or a group. It stays in memory while it is pinned, or while the log knows more of it than the tree.
//
// Who pins it loads it; the decider finds it loaded. mu guards its streams and floor, and is held for moments only: never across a
// read of the disk.
type object struct {
	key  objectKey
	name name

	pins  atomic.Int32 // raised only under the shard's lock
	dirty atomic.Int32 // reasons for which the log knows more than the tree: one for each stream with a segment, and any other

	loading sync.Mutex // held while it is loaded
	loaded  atomic.Bool

	mu      sync.Mutex
	inbox   *stream // the stream of the empty group id, which most owners have alone
	streams map[string]*stream
	floor   uint64 // queues that are made anew begin above it
	looked  int64  // when idle queues were looked for in vain, ms

	groups      map[string]bool // that an identity reads; true for those that it is a member of
	memberships int             // of these, how many it is a member of
	group       *group          // of a group's object; nil if there is none

	used         bool    // since evict looked at it last; of the shard, as is
	newer, older *object // its place in the list of all
}

// find returns the stream of a group id, nil if there is none.
func (o *object) find(group string) *stream {
	if group == "" {
		return o.inbox
	}
	return o.streams[group]
}

func (o *object) count() int {
	n := len(o.streams)
	if o.inbox != nil {
		n++
	}
	return n
}

func (o *object) add(st *stream) {
	if st.id.Group == "" {
		o.inbox = st
		return
	}
	if o.streams == nil {
		o.streams = make(map[string]*stream)
	}
	o.streams[st.id.Group] = st
}

func (o *object) remove(st *stream) {
	if st.id.Group == "" {
		o.inbox = nil
	} else {
		delete(o.streams, st.id.Group)
	}
	st.forgotten = true
}

// all calls f for each stream.
func (o *object) all(f func(*stream)) {
	if o.inbox != nil {
		f(o.inbox)
	}
	for _, st := range o.streams {
		f(st)
	}
}

const objectShards = 64

// objects are those in memory. Safe for concurrent use.
type objects struct {
	names  *names
	limit  int // of each shard
	shards [objectShards]objectShard
}

type objectShard struct {
	mu    sync.Mutex
	m     map[objectKey]*object
	first object // its older was added or looked at last, its newer is what evict looks at next
	_     [64]byte
}

func newObjects(n *names, limit int) *objects {
	o := &objects{names: n, limit: max(limit/objectShards, 1)}
	for i := range o.shards {
		s := &o.shards[i]
		s.m = make(map[objectKey]*object)
		s.first.older, s.first.newer = &s.first, &s.first
	}
	return o
}

func (s *objectShard) unlink(o *object) {
	o.newer.older, o.older.newer = o.older, o.newer
}

func (s *objectShard) link(o *object) {
	o.newer, o.older = &s.first, s.first.older
	o.newer.older, o.older.newer = o, o
}

// pin returns the object of a key, new and not loaded if it is not in memory. Give it to unpin.
func (os *objects) pin(key objectKey) *object {
	s := &os.shards[(key.id[0]^key.id[7]^key.id[31])%objectShards]
	s.mu.Lock()
	o := s.m[key]
	if o != nil {
		o.pins.Add(1)
		o.used = true
		s.mu.Unlock()
		return o
	}
	o = &object{key: key, name: os.names.object(&key)}
	o.pins.Store(1)
	s.m[key] = o
	s.link(o)
	if over := len(s.m) - os.limit; over > 0 {
		s.evict(min(over, evictAtOnce))
	}
	s.mu.Unlock()
	return o
}

func (o *object) unpin() { o.pins.Add(-1) }

// evictAtOnce is how many objects may go for each that comes. While the log holds more identities than are to be kept in memory there is nothing to
// be found, and looking must not cost more the more there are.
const evictAtOnce = 4

// evict forgets up to n objects that were not used for a while, and looks at a few more than that.
func (s *objectShard) evict(n int) {
	for range n + 8 {
		o := s.first.newer
		if o == &s.first || n == 0 {
			return
		}
		s.unlink(o)
		if !o.used && o.pins.Load() == 0 && o.dirty.Load() == 0 {
			delete(s.m, o.key)
			n--
			continue
		}
		o.used = false
		s.link(o)
	}
}

// len counts the objects in memory.
func (os *objects) len() int {
	n := 0
	for i := range os.shards {
		s := &os.shards[i]
		s.mu.Lock()
		n += len(s.m)
		s.mu.Unlock()
	}
	return n
}
