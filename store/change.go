package store

import "slices"

// Change is what the last commit of a group did with its roster, so that another one can take its place.
type Change struct {
	Seq    uint64 // the commit's place in the group's log
	Epoch  uint64 // that it led to
	Sender Identity
	// Added were no members before it, Removed were. Both are in the order of the Commit.
	Added, Removed []Identity
}

// Fate is what a commit does with one identity. Who is restored was removed by the commit that is replaced, and reads on: if it has nothing left to read, from the
// replacing commit on. Who is restored and removed reads up to that, and is no member.
type Fate struct {
	ID                       Identity
	Added, Removed, Restored bool
}

// Fates are what c does with everybody that it concerns, each once. last is the commit that c replaces, nil if it replaces none. For engines.
func (c *Commit) Fates(last *Change) []Fate {
	fates := make([]Fate, 0, len(c.Added)+len(c.Removed))
	at := make(map[Identity]int, cap(fates))
	of := func(id Identity) *Fate {
		i, ok := at[id]
		if !ok {
			i = len(fates)
			at[id] = i
			fates = append(fates, Fate{ID: id})
		}
		return &fates[i]
	}
	for _, id := range c.Added {
		of(id).Added = true
	}
	for _, id := range c.Removed {
		if f := of(id); !f.Added {
			f.Removed = true
		}
	}
	if last == nil {
		return fates
	}
	for _, id := range last.Removed {
		if f := of(id); !f.Added {
			f.Restored = true
		}
	}
	for _, id := range last.Added {
		if f := of(id); !f.Added && !f.Restored {
			f.Removed = true
		}
	}
	return fates
}

// WasMember says whether an identity was a member before the commit that c replaces, or is one now if c replaces none. isMember is of now.
func (c *Commit) WasMember(id Identity, last *Change, isMember bool) bool {
	if last == nil {
		return isMember
	}
	return isMember && !slices.Contains(last.Added, id) || slices.Contains(last.Removed, id)
}

// Change is what is to be kept of c when it is done as seq. wasMember says who was a member before it, and before what it replaces. For engines.
func (c *Commit) Change(seq uint64, wasMember func(Identity) bool) Change {
	d := Change{Seq: seq, Epoch: c.Epoch + 1, Sender: c.Sender}
	seen := make(map[Identity]bool, len(c.Added)+len(c.Removed))
	for _, id := range c.Added {
		if !seen[id] && !wasMember(id) {
			d.Added = append(d.Added, id)
		}
		seen[id] = true
	}
	for _, id := range c.Removed {
		if !seen[id] && wasMember(id) {
			d.Removed = append(d.Removed, id)
		}
		seen[id] = true
	}
	return d
}
