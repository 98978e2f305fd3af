package mls

import (
	"errors"
	"testing"
)

// TestImportChecksLeaf changes the signature of a package's leaf: a bundle is to
// hold only leaves whose signature is good, for Join does not verify it again.
func TestImportChecksLeaf(t *testing.T) {
	id, err := GenerateBasicIdentity(X25519_AES128GCM_SHA256_Ed25519, []byte("alice"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewKeyPackage(id, KeyPackageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	raw := b.Public()
	if _, err := ImportKeyPackage(raw, b.init.Bytes(), b.leaf.Bytes()); err != nil {
		t.Fatal(err)
	}
	// The package ends with the leaf's signature, no extensions (one byte), and its own signature of 64 bytes behind two of length.
	at := len(raw) - 2 - 64 - 1 - 1
	raw[at] ^= 1
	if _, err := ImportKeyPackage(raw, b.init.Bytes(), b.leaf.Bytes()); !errors.Is(err, ErrSignature) {
		t.Errorf("a leaf with a changed signature: %v", err)
	}
}
