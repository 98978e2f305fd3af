package client

import (
	"context"
	"encoding/binary"

	bolt "go.etcd.io/bbolt"

	"quicnprotochat/certs"
	"quicnprotochat/names"
)

// metaNames and a server's pin is the key of where its log of names ended when the account last read it: log id, number (8 bytes), hash.
const metaNames = "names "

// AuditNames reads the whole log of names and checks it: also that it is the log that the account was told the last time, gone on. Where it ends
// is remembered for the next time. Errors: ErrProtocol, and why, if the server does not keep to its log.
func (a *Account) AuditNames(ctx context.Context, s *Session) (*names.Audit, error) {
	pin, err := certs.ServerPin(s.conn.State().TLS)
	if err != nil {
		return nil, err
	}
	key := append([]byte(metaNames), pin[:]...)
	var audit *names.Audit
	seen := uint64(0)
	err = a.state.view(func(tx *bolt.Tx) error {
		if v := tx.Bucket(bucketMeta).Get(key); len(v) == 32+8+32 {
			audit = names.NewAudit(names.LogID(v[:32]))
			seen = binary.BigEndian.Uint64(v[32:])
			audit.Expect(seen, [32]byte(v[40:]))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if audit, err = s.AuditNames(ctx, audit); err != nil {
		return audit, err
	}
	last, hash := audit.Head()
	if last < seen {
		return audit, protocolErrorf("log of names: it ends with entry %d, and had %d", last, seen)
	}
	log := audit.Log()
	value := append(binary.BigEndian.AppendUint64(log[:], last), hash[:]...)
	return audit, a.state.update(func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Put(key, value) })
}
