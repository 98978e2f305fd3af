package sim

import (
	"slices"
	"sync"
)

// oracle notes all that was promised and received, and judges it at the end.
type oracle struct {
	mu     sync.Mutex
	groups map[string]*record
	boxes  map[int]*box
}

// record is what is known of one group.
type record struct {
	founder  int
	made     bool
	promised map[string]uint64           // seq, by id, of what the service said is stored
	got      map[int]map[uint64]*message // what each has read
	offers   map[int]map[uint64]bool     // what was pushed to each
	welcomes map[int][]string            // ids of the commits whose Welcomes each got
}

func (o *oracle) founded(group string, n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.groups == nil {
		o.groups = make(map[string]*record)
	}
	o.groups[group] = &record{founder: n, promised: make(map[string]uint64), got: make(map[int]map[uint64]*message),
		offers: make(map[int]map[uint64]bool), welcomes: make(map[int][]string)}
}

func (o *oracle) made(group string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.groups[group].made
}

func (o *oracle) make(group string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.groups[group].made = true
}

func (o *oracle) isFounder(group string, n int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.groups[group].founder == n
}

func (o *oracle) promised(group, id string, seq uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.groups[group].promised[id] = seq
}

func (o *oracle) received(n int, group string, seq uint64, m *message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := o.groups[group]
	if r.got[n] == nil {
		r.got[n] = make(map[uint64]*message)
	}
	r.got[n][seq] = m
}

func (o *oracle) offered(n int, group string, seq uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := o.groups[group]
	if r.offers[n] == nil {
		r.offers[n] = make(map[uint64]bool)
	}
	r.offers[n][seq] = true
}

func (o *oracle) welcomed(n int, group, commit string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := o.groups[group]
	r.welcomes[n] = append(r.welcomes[n], commit)
}

// span is a time for which one is a member: what is above from, up to to.
type span struct{ from, to uint64 }

// check judges. What the founder has read, who is a member for ever, is the order of the group.
func (o *oracle) check(w *world) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for n, b := range o.boxes {
		b.check(w, n)
	}
	for group, r := range o.groups {
		log := r.got[r.founder]
		last := uint64(len(log))
		spans := map[int][]span{r.founder: {{0, last}}}
		places := make(map[string]uint64)
		latest, since := make(map[int]string), make(map[int]uint64) // of each sender: its last message, and the epoch that it was added for
		epoch := uint64(0)
		for seq := uint64(1); seq <= last; seq++ {
			m := log[seq]
			if m == nil {
				w.t.Errorf("seed %d: %q: message %d of %d is missing", w.seed, group, seq, last)
				return
			}
			if at := places[m.ID]; at != 0 {
				w.t.Errorf("seed %d: %q: %s stands at %d and at %d", w.seed, group, m.ID, at, seq)
			}
			places[m.ID] = seq
			// What is older than its sender's time as a member may have been refused until that.
			if m.ID < latest[m.Sender] && m.Epoch >= since[m.Sender] {
				w.t.Errorf("seed %d: %q: %s stands behind %s, which was sent later", w.seed, group, m.ID, latest[m.Sender])
			}
			latest[m.Sender] = max(latest[m.Sender], m.ID)
			if !m.Commit {
				continue
			}
			if m.Epoch != epoch {
				w.t.Errorf("seed %d: %q: commit %d was made in epoch %d, not %d", w.seed, group, seq, m.Epoch, epoch)
			}
			epoch++
			for _, n := range m.Removed {
				spans[n][len(spans[n])-1].to = seq
			}
			for _, n := range m.Added {
				spans[n] = append(spans[n], span{seq, last})
				since[n] = epoch
			}
		}
		for id, seq := range r.promised {
			if seq == 0 || places[id] != seq {
				w.t.Errorf("seed %d: %q: %s was promised to stand at %d, and stands at %d", w.seed, group, id, seq, places[id])
			}
		}
		for n := range w.people {
			r.checkPerson(w, group, n, spans[n], log, places)
		}
	}
}

func (r *record) checkPerson(w *world, group string, n int, spans []span, log map[uint64]*message, places map[string]uint64) {
	inside := func(seq uint64) bool {
		return slices.ContainsFunc(spans, func(s span) bool { return seq > s.from && seq <= s.to })
	}
	for seq := range r.offers[n] {
		if !inside(seq) {
			w.t.Errorf("seed %d: %q: message %d was pushed to %d, who is no member then", w.seed, group, seq, n)
		}
	}
	for seq, m := range r.got[n] {
		if log[seq] == nil || log[seq].ID != m.ID {
			w.t.Errorf("seed %d: %q: message %d is another for %d", w.seed, group, seq, n)
		}
	}
	if len(spans) == 0 {
		return
	}
	// An earlier time as a member may be cut short by the next, but not the last one.
	for seq := spans[len(spans)-1].from + 1; seq <= spans[len(spans)-1].to; seq++ {
		if r.got[n][seq] == nil {
			w.t.Errorf("seed %d: %q: %d did not get message %d of %v", w.seed, group, n, seq, spans)
			return
		}
	}
	seen := make(map[string]bool)
	for _, commit := range r.welcomes[n] {
		at := places[commit]
		if at == 0 || !slices.Contains(log[at].Added, n) || seen[commit] {
			w.t.Errorf("seed %d: %q: a Welcome of %s for %d, whose commit stands at %d", w.seed, group, commit, n, at)
		}
		seen[commit] = true
	}
	if joins := len(spans); n != r.founder && len(seen) != joins {
		w.t.Errorf("seed %d: %q: %d Welcomes for %d, who was added %d times", w.seed, group, len(seen), n, joins)
	}
}
