package client

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"

	capnp "capnproto.org/go/capnp/v3"

	"quicnprotochat/certs"
	"quicnprotochat/names"
	"quicnprotochat/schemas"
)

// FuzzNameStatus: whatever a server says of a name, it is refused or what its key signed.
func FuzzNameStatus(f *testing.F) {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	id := certs.IdentityOf(private)
	log := names.LogID{7}
	claim := names.Entry{Number: 1, Previous: log, Time: 5, Change: names.Change{Log: log, Kind: names.Claim, Name: "alice", Version: 1, New: names.Key(id)}}
	claim.NewSignature = claim.Sign(private)
	revoke := names.Entry{Number: 2, Time: 6, Change: names.Change{Log: log, Kind: names.Revoke, Name: "alice", Version: 2, Old: names.Key(id)}}
	revoke.OldSignature = revoke.Sign(private)
	f.Add(log[:], id[:], claim.Encode(), uint64(1), false)
	f.Add(log[:], id[:], revoke.Encode(), uint64(2), true)
	f.Add(log[:], []byte{}, []byte{}, uint64(0), false)
	f.Fuzz(func(t *testing.T, log, key, entry []byte, version uint64, revoked bool) {
		_, seg := capnp.NewSingleSegmentMessage(nil)
		status, err := schemas.NewRootNameStatus(seg)
		if err := errors.Join(err, status.SetLogId(log), status.SetKey(key), status.SetEntry(entry)); err != nil {
			t.Skip(err)
		}
		status.SetVersion(version)
		status.SetRevoked(revoked)
		n, err := nameStatus("alice", status)
		switch {
		case err != nil && !errors.Is(err, ErrProtocol):
			t.Fatal(err)
		case err == nil && version > 0 && (n.Last.Signed() != nil || n.Last.Name != "alice" || n.Last.Version != version || !bytes.Equal(n.Key[:], key)):
			t.Fatalf("accepted %+v", n)
		}
	})
}
