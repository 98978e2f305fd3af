package client

import (
	"crypto/tls"

	bolt "go.etcd.io/bbolt"
)

// ticketCache keeps one TLS session a server in the state, so that the next process resumes it.
type ticketCache struct {
	a    *Account
	addr string
}

func (a *Account) ticketCache(addr string) tls.ClientSessionCache { return &ticketCache{a, addr} }

// Get takes the kept session, used up: a ticket used twice lets an observer link the connections (RFC 8446 appendix C.4).
func (c *ticketCache) Get(string) (*tls.ClientSessionState, bool) {
	var data []byte
	err := c.a.state.update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketTickets)
		data = append(data, b.Get([]byte(c.addr))...)
		return b.Delete([]byte(c.addr))
	})
	if err != nil || len(data) < 2 {
		return nil, false
	}
	// ParseSessionState keeps slices of data: it is not to be wiped here.
	n := int(data[0])<<8 | int(data[1])
	if len(data) < 2+n {
		return nil, false
	}
	st, err := tls.ParseSessionState(data[2+n:])
	if err != nil {
		return nil, false
	}
	cs, err := tls.NewResumptionState(append([]byte(nil), data[2:2+n]...), st)
	return cs, err == nil
}

// Put keeps cs: two bytes of length, the ticket, the session.
func (c *ticketCache) Put(_ string, cs *tls.ClientSessionState) {
	if cs == nil {
		return
	}
	ticket, st, err := cs.ResumptionState()
	if err != nil || st == nil || len(ticket) > 1<<16-1 {
		return
	}
	session, err := st.Bytes()
	if err != nil {
		return
	}
	data := append([]byte{byte(len(ticket) >> 8), byte(len(ticket))}, ticket...)
	data = append(data, session...)
	defer clear(data)
	// A ticket that is not kept costs one full handshake, no more.
	if err := c.a.state.update(func(tx *bolt.Tx) error { return tx.Bucket(bucketTickets).Put([]byte(c.addr), data) }); err != nil {
		c.a.log.Debug("session ticket not kept", "err", err)
	}
}
