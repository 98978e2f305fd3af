package names

import "fmt"

// State is what a log says of a name. The zero State is of a name that nobody claimed.
type State struct {
	Version uint64 // how many changes it had
	Key     Key    // that holds it; of a revoked one, that held it last
	Revoked bool
	Entry   uint64 // number of the last change
}

// Allows says whether a change may come next: by the rules for names, and by its signatures. What a rotation may lead to is for whoever knows the clients.
func (s *State) Allows(c *Change, old, new *Signature) error {
	if err := c.Check(); err != nil {
		return err
	}
	switch {
	case s.Revoked:
		return ErrRevoked
	case c.Kind == Claim && s.Version > 0:
		return ErrTaken
	case c.Kind != Claim && s.Version == 0:
		return ErrUnclaimed
	case c.Kind != Claim && c.Old != s.Key:
		return ErrHolder
	case c.Version != s.Version+1:
		return fmt.Errorf("%w: %d, now it has %d", ErrVersion, c.Version, s.Version)
	}
	return c.signed(old, new)
}

// After is the state that an entry leads to.
func (s State) After(e *Entry) State {
	s.Version, s.Entry = e.Version, e.Number
	if e.Kind == Revoke {
		s.Revoked = true
	} else {
		s.Key = e.New
	}
	return s
}
