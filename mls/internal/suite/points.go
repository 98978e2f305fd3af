package suite

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
)

var (
	// ErrCodePoint says that a code point may not be given to a suite.
	ErrCodePoint = errors.New("code point cannot be given to this suite")
	// ErrInUse says that code points were used and are fixed since.
	ErrInUse = errors.New("code points are in use")
)

// points says under which code points the post-quantum suites are known. They
// can be set until the first of them is used, since what was made under a
// number must mean the same as long as the process lives.
type points struct {
	mu    sync.Mutex
	table map[uint16]*Suite
	used  bool
}

var postQuantum = points{table: make(map[uint16]*Suite)}

// Lookup returns the suite with the given code point, which is in use from then
// on. It is safe for concurrent use.
func Lookup(id uint16) (*Suite, error) {
	if isStandard(id) {
		return suites[id], nil
	}
	if s := postQuantum.find(id, true); s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("%w: %d", ErrUnknown, id)
}

// Name returns the name of a suite, or "" if it is unknown. It does not count
// as use.
func Name(id uint16) string {
	if isStandard(id) {
		return suites[id].Name
	}
	if s := postQuantum.find(id, false); s != nil {
		return s.Name
	}
	return ""
}

// All returns the code points of the suites of R §17.1, then those that the
// post-quantum ones have at present, both in ascending order.
func All() (classical, pq []uint16) {
	return []uint16{1, 2, 3, 4, 5, 6, 7}, postQuantum.ids()
}

// SetPostQuantum replaces the code points of the post-quantum suites: table maps
// each to the default number of a suite. An error, ErrInUse, ErrCodePoint or
// ErrUnknown, leaves them as they were. It is safe for concurrent use.
func SetPostQuantum(table map[uint16]uint16) error { return postQuantum.set(table) }

// isStandard says whether id is of R §17.1, and so never changes its meaning.
func isStandard(id uint16) bool { return X25519AES128 <= id && id <= P384AES256 }

// reserved says whether IANA's registry has given id away, R §17.1: to a suite,
// as reserved, or to GREASE, 0x0A0A to 0xEAEA.
func reserved(id uint16) bool {
	return id == 0 || isStandard(id) || id&0x0f0f == 0x0a0a && id>>8 == id&0xff && id < privateUse
}

func (p *points) find(id uint16, use bool) *Suite {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.table[id]
	p.used = p.used || use && s != nil
	return s
}

func (p *points) ids() []uint16 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.table))
}

func (p *points) set(table map[uint16]uint16) error {
	next := make(map[uint16]*Suite, len(table))
	for id, of := range table {
		s, ok := suites[of]
		if !ok || isStandard(of) {
			return fmt.Errorf("%w: %#04x is no post-quantum suite", ErrUnknown, of)
		}
		if reserved(id) {
			return fmt.Errorf("%w: %#04x is assigned by IANA", ErrCodePoint, id)
		}
		if _, other := suites[id]; other && id != of {
			return fmt.Errorf("%w: %#04x is the default of another suite", ErrCodePoint, id)
		}
		named := *s
		named.ID = id
		next[id] = &named
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.used {
		return ErrInUse
	}
	p.table = next
	return nil
}
