package as

import (
	"bytes"
	"crypto/ed25519"
	"testing"
	"time"

	"quicnprotochat/mls"
	"quicnprotochat/quicrpc"
)

// FuzzValidate: whatever is uploaded is refused, or is the caller's own KeyPackage, unchanged.
func FuzzValidate(f *testing.F) {
	now := time.Unix(1_750_000_000, 0)
	seed := bytes.Repeat([]byte{1}, ed25519.SeedSize)
	peer := quicrpc.Peer(ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
	for _, suite := range []mls.Suite{1, 3} {
		id, err := mls.NewBasicIdentity(suite, seed, peer[:])
		if err != nil {
			f.Fatal(err)
		}
		b, err := mls.NewKeyPackage(id, mls.KeyPackageOptions{Now: now})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b.Public())
		f.Add(b.Message())
	}
	s := New(Config{Clock: func() time.Time { return now }})
	f.Fuzz(func(t *testing.T, raw []byte) {
		k, err := s.validate(&peer, raw)
		if err != nil {
			return
		}
		info, err := mls.InspectKeyPackage(k.Data)
		if err != nil || !bytes.Equal(k.Data, raw) || !bytes.Equal(info.SignatureKey, peer[:]) || !k.NotAfter.After(now) {
			t.Fatalf("accepted: %v", err)
		}
	})
}
