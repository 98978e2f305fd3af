package ds

import (
	"context"
	"sync"
	"time"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
	"quicnprotochat/store"
)

// slots let members of a group who keep losing the race for its epochs go first for a while, one after the other (RFC 9420 section 14, requirement 9). All of it is in memory:
// a restart ends the slots, and nobody is worse off than without. Safe for concurrent use.
type slots struct {
	length time.Duration // of a slot, at most

	mu     sync.Mutex
	groups map[string]*line
	lost   map[racer]int // races for an epoch since the last one that was won; small numbers only
}

// racer is a member that commits.
type racer struct {
	group string
	id    store.Identity
}

// line is who waits for the slot of one group; the first has it.
type line struct {
	claims []*claim
	ends   *time.Timer
	until  time.Time
}

// claim is a place in a line. granted is closed when it is the first.
type claim struct {
	racer
	owner   *server // the stream that it was made on
	granted chan struct{}
}

const (
	// racesLost entitle to a slot.
	racesLost = 3
	// maxRacers bounds what is remembered of races: beyond it all is forgotten, which puts a slot off and does no other harm.
	maxRacers = 1 << 16
	// maxLine bounds who waits for one group's slot.
	maxLine = 256
)

func newSlots(length time.Duration) *slots {
	return &slots{length: length, groups: make(map[string]*line), lost: make(map[racer]int)}
}

// race counts how a commit ended.
func (s *slots) race(r racer, won bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if won {
		delete(s.lost, r)
		if l := s.groups[r.group]; l != nil && l.claims[0].id == r.id {
			s.remove(l.claims[0])
		}
		return
	}
	if len(s.lost) >= maxRacers {
		clear(s.lost)
	}
	s.lost[r] = min(s.lost[r]+1, racesLost)
}

// taken says until when another than r has the slot of its group; zero if nobody has.
func (s *slots) taken(r racer) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.groups[r.group]; l != nil && l.claims[0].id != r.id {
		return l.until
	}
	return time.Time{}
}

// join puts a member at the end of its group's line; if it is in it already, that place is returned.
func (s *slots) join(r racer, owner *server) (*claim, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.groups[r.group]
	if l == nil {
		l = new(line)
	}
	for _, c := range l.claims {
		if c.racer == r {
			return c, nil
		}
	}
	switch {
	case s.lost[r] < racesLost:
		return nil, quicrpc.Errorf(quicrpc.CodeNotAuthorized, "a slot is for who has lost %d races for an epoch", racesLost)
	case len(l.claims) == maxLine:
		return nil, quicrpc.Errorf(quicrpc.CodeRateLimited, "%d wait for the slot already", maxLine)
	}
	c := &claim{racer: r, owner: owner, granted: make(chan struct{})}
	l.claims = append(l.claims, c)
	s.groups[r.group] = l
	if len(l.claims) == 1 {
		s.grant(l)
	}
	return c, nil
}

// grant gives the slot to the first of a line. s.mu is held.
func (s *slots) grant(l *line) {
	c := l.claims[0]
	l.until = time.Now().Add(s.length)
	l.ends = time.AfterFunc(s.length, func() { s.leave(c) })
	close(c.granted)
}

// leave gives a claim back, whether it has come to the slot or not.
func (s *slots) leave(c *claim) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(c)
}

// remove takes a claim out of its line, if it is in it. s.mu is held.
func (s *slots) remove(c *claim) {
	l := s.groups[c.group]
	if l == nil {
		return
	}
	for i := range l.claims {
		if l.claims[i] != c {
			continue
		}
		l.claims = append(l.claims[:i:i], l.claims[i+1:]...)
		if i > 0 {
			return
		}
		l.ends.Stop()
		if len(l.claims) > 0 {
			s.grant(l)
		} else {
			delete(s.groups, c.group)
		}
		return
	}
}

// find returns a member's claim, nil for none.
func (s *slots) find(r racer) *claim {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.groups[r.group]; l != nil {
		for _, c := range l.claims {
			if c.racer == r {
				return c
			}
		}
	}
	return nil
}

// until is when the slot that c has ends; zero if it has it no more.
func (s *slots) until(c *claim) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.groups[c.group]; l != nil && l.claims[0] == c {
		return l.until
	}
	return time.Time{}
}

// close ends all slots.
func (s *slots) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.groups {
		l.ends.Stop()
	}
	clear(s.groups)
}

// ClaimCommit waits for the slot of a group.
func (c *server) ClaimCommit(ctx context.Context, call schemas.DeliveryService_claimCommit) error {
	if err := c.change(ctx, claimCommit); err != nil {
		return err
	}
	group, err := groupID(call.Args().GroupId())
	if err != nil {
		return err
	}
	if err := c.member(ctx, group); err != nil {
		return err
	}
	place, err := c.s.slots.join(racer{group, c.owner}, c)
	if err != nil {
		return err
	}
	c.claim(place)
	call.Go() // who waits holds up nothing else on the stream
	until, err := c.granted(ctx, place)
	if err != nil {
		return err
	}
	g, err := c.s.store.Group(ctx, group)
	if err != nil {
		return c.s.groupFailure(err)
	}
	results, err := call.AllocResults()
	if err != nil {
		return err
	}
	results.SetEpoch(g.Epoch)
	results.SetDeadline(until.UnixMilli())
	return nil
}

// granted waits until a claim has come to the slot, for as long as a call may take.
func (c *server) granted(ctx context.Context, place *claim) (time.Time, error) {
	select {
	case <-place.granted:
	case <-ctx.Done():
	case <-c.session.Context().Done():
	}
	if until := c.s.slots.until(place); !until.IsZero() && ctx.Err() == nil {
		return until, nil
	}
	c.s.slots.leave(place)
	return time.Time{}, quicrpc.Errorf(quicrpc.CodeUnavailable, "the slot did not come, or has ended")
}

// claim remembers a claim of this stream's.
func (c *server) claim(place *claim) {
	c.claiming.Lock()
	defer c.claiming.Unlock()
	if c.claims == nil {
		c.claims = make(map[string]*claim)
	}
	c.claims[place.group] = place
}

// ReleaseCommit gives a slot, or a place in its line, back.
func (c *server) ReleaseCommit(ctx context.Context, call schemas.DeliveryService_releaseCommit) error {
	if err := c.change(ctx, releaseCommit); err != nil {
		return err
	}
	group, err := groupID(call.Args().GroupId())
	if err != nil {
		return err
	}
	if place := c.s.slots.find(racer{group, c.owner}); place != nil {
		c.s.slots.leave(place)
	}
	_, err = call.AllocResults()
	return err
}

// Shutdown is called when the stream is over, and all its calls have returned: it gives back what was claimed on it.
func (c *server) Shutdown() {
	c.claiming.Lock()
	defer c.claiming.Unlock()
	for _, place := range c.claims {
		if place.owner == c {
			c.s.slots.leave(place)
		}
	}
	c.claims = nil
}
