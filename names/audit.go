package names

import "fmt"

// Audit reads a log from its beginning and checks every entry: the chain, the rules, the signatures. It keeps what the log says, about 300 bytes a name.
// Not safe for concurrent use.
type Audit struct {
	log     LogID
	number  uint64
	hash    [32]byte
	time    uint64
	states  map[string]State
	clients map[Key]Key

	expectNumber uint64
	expectHash   [32]byte
}

// NewAudit begins with an empty log.
func NewAudit(log LogID) *Audit {
	return &Audit{log: log, hash: log, states: make(map[string]State), clients: make(map[Key]Key)}
}

// Expect has Next refuse another entry of a number than that of a hash: what an audit saw earlier, or somebody else was told.
func (a *Audit) Expect(number uint64, hash [32]byte) { a.expectNumber, a.expectHash = number, hash }

// Next checks the next entry. With an error nothing changes.
func (a *Audit) Next(encoded []byte) (Entry, error) {
	e, err := Decode(a.log, encoded)
	if err != nil {
		return Entry{}, err
	}
	switch {
	case e.Number != a.number+1:
		return Entry{}, fmt.Errorf("%w: number %d after %d", ErrChain, e.Number, a.number)
	case e.Previous != a.hash:
		return Entry{}, fmt.Errorf("%w: entry %d continues another log", ErrChain, e.Number)
	case e.Time < a.time:
		return Entry{}, fmt.Errorf("%w: entry %d is older than the one before", ErrChain, e.Number)
	}
	hash := Hash(encoded)
	if e.Number == a.expectNumber && hash != a.expectHash {
		return Entry{}, fmt.Errorf("%w: entry %d is not what it was", ErrChain, e.Number)
	}
	state := a.states[e.Name]
	if err := state.Allows(&e.Change, &e.OldSignature, &e.NewSignature); err != nil {
		return Entry{}, fmt.Errorf("entry %d: %w", e.Number, err)
	}
	if err := a.join(&e.Change); err != nil {
		return Entry{}, fmt.Errorf("entry %d: %w", e.Number, err)
	}
	a.states[e.Name] = state.After(&e)
	a.number, a.hash, a.time = e.Number, hash, e.Time
	return e, nil
}

// join notes which client a key is of: a rotation leads to a key that is new, or of the same client.
func (a *Audit) join(c *Change) error {
	switch c.Kind {
	case Claim:
		a.clients[c.New] = a.Client(c.New)
	case Rotate:
		client := a.Client(c.Old)
		if known, ok := a.clients[c.New]; ok && known != client {
			return ErrClient
		}
		a.clients[c.New] = client
	}
	return nil
}

// Resolve returns what the log says of a name.
func (a *Audit) Resolve(name string) State { return a.states[name] }

// Client is the first key of the client that key is of: that from which rotations lead to it.
func (a *Audit) Client(key Key) Key {
	if client, ok := a.clients[key]; ok {
		return client
	}
	return key
}

// Log is the log's id.
func (a *Audit) Log() LogID { return a.log }

// Head is the number of the last entry and its hash; of an empty log 0 and the log's id.
func (a *Audit) Head() (number uint64, hash [32]byte) { return a.number, a.hash }
