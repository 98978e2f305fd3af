package integration

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"quicnprotochat/certs"
	"quicnprotochat/client"
	"quicnprotochat/daemon"
)

// writePair writes a fresh key and its certificate.
func writePair(t *testing.T, certFile, keyFile string) {
	t.Helper()
	key, err := certs.NewIdentityKey()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := certs.ClientCertificate(key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, b := range map[string]pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert.Certificate[0]}, keyFile: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(&b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNewPin: after the server's key has changed under a ticket of before, the new pin is accepted at once, and kept.
func TestNewPin(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePair(t, certFile, keyFile)
	d := startWith(t, daemon.Config{DataDir: filepath.Join(dir, "data"), CertFile: certFile, KeyFile: keyFile})
	if _, err := client.Create(filepath.Join(dir, "a"), d.Addr().String(), nil); err != nil {
		t.Fatal(err)
	}
	a, err := client.Open(filepath.Join(dir, "a"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	// connect tells whether the connection was resumed.
	connect := func(pin *certs.Pin) (bool, error) {
		s, err := a.Dial(ctx, client.DialOptions{Pin: pin})
		if err != nil {
			return false, err
		}
		defer s.Close()
		if _, err := s.ServerInfo(ctx); err != nil {
			return false, err
		}
		return s.Conn().State().Resumed, nil
	}
	for _, want := range []bool{false, true} {
		if resumed, err := connect(nil); err != nil || resumed != want {
			t.Fatalf("resumed: %v, %v; want %v", resumed, err, want)
		}
	}
	writePair(t, certFile, keyFile)
	if err := d.Reload(); err != nil {
		t.Fatal(err)
	}
	fresh := dial(t, d.Addr().String(), newPerson(t))
	pin, err := certs.ServerPin(fresh.Conn().State().TLS)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := connect(&pin); err != nil {
		t.Fatalf("with the new pin: %v", err)
	}
	if resumed, err := connect(nil); err != nil || !resumed {
		t.Errorf("afterwards resumed: %v, %v", resumed, err)
	}
	wrong := certs.Pin{1}
	if _, err := connect(&wrong); !errors.Is(err, certs.ErrPinMismatch) {
		t.Errorf("with a wrong pin: %v", err)
	}
	if _, err := connect(nil); err != nil {
		t.Errorf("the pin was given up for a wrong one: %v", err)
	}
}
