package schedule

import (
	"cmp"
	"errors"
	"math"
	"slices"

	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/suite"
)

var (
	// ErrTooFar says that a generation is further ahead than the limit allows.
	ErrTooFar = errors.New("message generation is too far ahead")
	// ErrKeyGone says that a message key was used already, or dropped as too old.
	ErrKeyGone = errors.New("message key was used or dropped")
	// ErrExhausted says that a ratchet has no generation left in this epoch.
	ErrExhausted = errors.New("no message generation is left in this epoch")
)

// Key is the one-time key and nonce of one message.
type Key struct {
	Key, Nonce []byte
}

func (k Key) wipe() {
	clear(k.Key)
	clear(k.Nonce)
}

// keptKey is the key of a generation that was passed over.
type keptKey struct {
	generation uint32
	Key
}

// chain is a symmetric ratchet, R §9.1: the secret of the next generation and
// the keys of those passed over, never an older secret.
type chain struct {
	secret []byte
	next   uint32
	kept   []keptKey // sorted by generation
}

func (c *chain) key(s *suite.Suite, secret []byte, generation uint32) Key {
	return Key{
		s.DeriveTreeSecret(secret, "key", generation, s.Nk),
		s.DeriveTreeSecret(secret, "nonce", generation, s.Nn),
	}
}

// take returns the next key and moves on.
func (c *chain) take(s *suite.Suite) (uint32, Key, error) {
	if c.next == math.MaxUint32 {
		return 0, Key{}, ErrExhausted
	}
	g := c.next
	k := c.key(s, c.secret, g)
	secret := s.DeriveTreeSecret(c.secret, "secret", g, s.Nh)
	clear(c.secret)
	c.secret, c.next = secret, g+1
	return g, k, nil
}

// advance is a step not yet taken: the key of a generation, and what the chain
// will be once that key is used.
type advance struct {
	key     Key
	drop    int // index in kept of a key from the past, or -1
	secret  []byte
	next    uint32
	skipped []keptKey
}

// wipe overwrites the secrets of a step that is not taken.
func (a *advance) wipe() {
	a.key.wipe()
	clear(a.secret)
	for _, k := range a.skipped {
		k.wipe()
	}
}

// find computes the key of a generation without changing the chain.
func (c *chain) find(s *suite.Suite, generation uint32, limits Limits) (*advance, error) {
	if generation < c.next {
		i, ok := slices.BinarySearchFunc(c.kept, generation, func(k keptKey, g uint32) int {
			return cmp.Compare(k.generation, g)
		})
		if !ok {
			return nil, ErrKeyGone
		}
		k := c.kept[i].Key
		return &advance{key: Key{slices.Clone(k.Key), slices.Clone(k.Nonce)}, drop: i}, nil
	}
	if generation-c.next > limits.Forward || generation == math.MaxUint32 {
		return nil, ErrTooFar
	}
	a := &advance{drop: -1, secret: c.secret, next: c.next}
	for {
		k := c.key(s, a.secret, a.next)
		secret := s.DeriveTreeSecret(a.secret, "secret", a.next, s.Nh)
		if a.next > c.next {
			clear(a.secret)
		}
		a.secret = secret
		a.next++
		if a.next > generation {
			a.key = k
			return a, nil
		}
		a.skipped = append(a.skipped, keptKey{a.next - 1, k})
	}
}

// apply takes the step.
func (c *chain) apply(a *advance, limits Limits) {
	if a.drop >= 0 {
		c.kept[a.drop].wipe()
		c.kept = slices.Delete(c.kept, a.drop, a.drop+1)
		return
	}
	clear(c.secret)
	c.secret, c.next = a.secret, a.next
	c.kept = append(c.kept, a.skipped...)
	if over := len(c.kept) - limits.Kept; over > 0 {
		for _, k := range c.kept[:over] {
			k.wipe()
		}
		c.kept = slices.Clone(c.kept[over:])
	}
}

func (c *chain) wipe() {
	clear(c.secret)
	for _, k := range c.kept {
		k.wipe()
	}
}

// valid says whether a chain that was read is one that append could have written.
func (c *chain) valid(s *suite.Suite) bool {
	next := uint64(0)
	for _, k := range c.kept {
		if uint64(k.generation) < next || k.generation >= c.next || len(k.Key.Key) != s.Nk || len(k.Nonce) != s.Nn {
			return false
		}
		next = uint64(k.generation) + 1
	}
	return len(c.secret) == s.Nh
}

func (c *chain) append(b []byte) []byte {
	b = codec.AppendVec(codec.AppendU32(b, c.next), c.secret)
	return codec.AppendNested(b, func(b []byte) []byte {
		for _, k := range c.kept {
			b = codec.AppendVec(codec.AppendVec(codec.AppendU32(b, k.generation), k.Key.Key), k.Nonce)
		}
		return b
	})
}

func (c *chain) decode(r *codec.Reader) {
	c.next, c.secret = r.U32(), slices.Clone(r.Vec())
	sub := r.Sub()
	for sub.More() {
		c.kept = append(c.kept, keptKey{sub.U32(), Key{slices.Clone(sub.Vec()), slices.Clone(sub.Vec())}})
	}
	r.Join(sub)
}
