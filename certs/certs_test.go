package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"testing"
)

func newKeyAndCert(t *testing.T) (Identity, tls.Certificate) {
	t.Helper()
	key, err := NewIdentityKey()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ClientCertificate(key)
	if err != nil {
		t.Fatal(err)
	}
	return IdentityOf(key), cert
}

// handshake runs TLS over a pipe and returns what each side saw.
func handshake(t *testing.T, server, client *tls.Config) (scs, ccs tls.ConnectionState, serr, cerr error) {
	t.Helper()
	// Sockets, not net.Pipe: both sides may write at once, and a pipe has no buffer.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s, c := tls.Server(a, server), tls.Client(b, client)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if serr = s.Handshake(); serr != nil {
			a.Close()
		}
	}()
	if cerr = c.Handshake(); cerr != nil {
		b.Close()
	} else {
		// In TLS 1.3 the client finishes before the server has judged its certificate.
		go func() { _, _ = c.Read(make([]byte, 1)) }()
	}
	<-done
	scs, ccs = s.ConnectionState(), c.ConnectionState()
	a.Close()
	b.Close()
	return
}

func TestHandshakeIdentityAndPin(t *testing.T) {
	dir := t.TempDir()
	own, err := OwnServerCertificate(dir)
	if err != nil {
		t.Fatal(err)
	}
	id, cert := newKeyAndCert(t)

	scs, ccs, serr, cerr := handshake(t, ServerTLS(own), ClientTLS(cert, Trust{}))
	if serr != nil || cerr != nil {
		t.Fatal(serr, cerr)
	}
	if got, err := PeerIdentity(scs); err != nil || got != id {
		t.Fatalf("server saw %v, %v", got, err)
	}
	pin, err := ServerPin(ccs)
	if err != nil || pin != own.Pin() {
		t.Fatalf("client saw pin %v, %v; want %v", pin, err, own.Pin())
	}

	// The same key after a restart: the pin holds.
	again, err := OwnServerCertificate(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, serr, cerr = handshake(t, ServerTLS(again), ClientTLS(cert, Trust{Pin: &pin})); serr != nil || cerr != nil {
		t.Fatal(serr, cerr)
	}

	// Another key: refused, and the error says which is which.
	other, err := OwnServerCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	_, _, _, cerr = handshake(t, ServerTLS(other), ClientTLS(cert, Trust{Pin: &pin}))
	var mismatch *PinMismatchError
	if !errors.Is(cerr, ErrPinMismatch) || !errors.As(cerr, &mismatch) || mismatch.Want != pin || mismatch.Got != other.Pin() {
		t.Fatalf("got %v", cerr)
	}
}

func TestServerRefusesOtherKeys(t *testing.T) {
	own, err := OwnServerCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	// The server's own ECDSA certificate is no identity; neither is none at all.
	ecdsaCert, _ := own.Get(nil)
	for name, c := range map[string]*tls.Config{
		"ecdsa": ClientTLS(*ecdsaCert, Trust{}),
		"none":  {MinVersion: tls.VersionTLS13, InsecureSkipVerify: true},
	} {
		if _, _, serr, _ := handshake(t, ServerTLS(own), c); serr == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestServerCertificateFilesAndRoots(t *testing.T) {
	dir := t.TempDir()
	made, err := OwnServerCertificate(dir)
	if err != nil {
		t.Fatal(err)
	}
	certFile := filepath.Join(dir, "cert.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made.current.Load().Certificate[0]})
	if err := os.WriteFile(certFile, block, 0o644); err != nil {
		t.Fatal(err)
	}
	fromFiles, err := ServerCertificateFiles(certFile, filepath.Join(dir, "server.key"))
	if err != nil {
		t.Fatal(err)
	}
	_, cert := newKeyAndCert(t)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(block)
	if _, _, serr, cerr := handshake(t, ServerTLS(fromFiles), ClientTLS(cert, Trust{Roots: roots, ServerName: ownName})); serr != nil || cerr != nil {
		t.Fatal(serr, cerr)
	}
	if _, _, _, cerr := handshake(t, ServerTLS(fromFiles), ClientTLS(cert, Trust{Roots: roots, ServerName: "elsewhere.example"})); cerr == nil {
		t.Fatal("accepted under another name")
	}

	// Reload: a broken file changes nothing, a new pair is presented from then on.
	pin := fromFiles.Pin()
	if err := os.WriteFile(certFile, []byte("broken"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := fromFiles.Reload(); err == nil || fromFiles.Pin() != pin {
		t.Errorf("a broken file: %v, pin %v", err, fromFiles.Pin())
	}
	other := t.TempDir()
	made, err = OwnServerCertificate(other)
	if err != nil {
		t.Fatal(err)
	}
	block = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made.current.Load().Certificate[0]})
	key, err := os.ReadFile(filepath.Join(other, "server.key"))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{certFile: block, filepath.Join(dir, "server.key"): key} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := fromFiles.Reload(); err != nil || fromFiles.Pin() != made.Pin() {
		t.Errorf("a new pair: %v, pin %v, want %v", err, fromFiles.Pin(), made.Pin())
	}
	if _, err := ServerCertificateFiles(certFile, certFile); err == nil {
		t.Fatal("accepted a certificate as a key")
	}
}

func TestIdentityKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "identity.key")
	key, err := NewIdentityKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := SaveIdentityKey(path, key); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v", info.Mode())
	}
	got, err := LoadIdentityKey(path)
	if err != nil || !bytes.Equal(got, key) {
		t.Fatalf("%v", err)
	}
	if err := SaveIdentityKey(path, key); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("overwrote: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".new-*")); len(left) != 0 {
		t.Fatalf("left %v", left)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadIdentityKey(path); !errors.Is(err, ErrKeyFile) {
		t.Fatalf("a key that others can read: %v", err)
	}
	if err := os.WriteFile(path+"2", []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadIdentityKey(path + "2"); !errors.Is(err, ErrKeyFile) {
		t.Fatalf("nonsense: %v", err)
	}
}

func TestParsePin(t *testing.T) {
	pin := Pin{7, 8, 9}
	if got, err := ParsePin(" " + pin.String()); err != nil || got != pin {
		t.Fatal(got, err)
	}
	for _, s := range []string{"", "sha256:", "sha256:00", pin.String() + "00", "zz"} {
		if _, err := ParsePin(s); !errors.Is(err, ErrPin) {
			t.Errorf("%q: %v", s, err)
		}
	}
}
