package quicrpc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"
)

// firstUse dials and makes one call; the error is of whichever failed.
func firstUse(t *testing.T, s *Server, conf *tls.Config) error {
	t.Helper()
	c, err := Dial(testContext(t), s.Addr().String(), ClientConfig{TLS: conf})
	if err != nil {
		return err
	}
	defer c.Close()
	r, err := c.Bootstrap(testContext(t), StreamAS)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = callEcho(testContext(t), r, nil)
	return err
}

// TestNoClientCertificate: the server refuses after the client's part of the handshake is done, so often only the first use fails.
func TestNoClientCertificate(t *testing.T) {
	s := startServer(t, ServerConfig{})
	for range 5 {
		if err := firstUse(t, s, &tls.Config{InsecureSkipVerify: true}); !errors.Is(err, ErrCertificateRequired) {
			t.Fatalf("got %v", err)
		}
	}
}

func TestCertificateWithoutEd25519(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	log, logged := newLog()
	s := startServer(t, ServerConfig{Logger: log})
	conf := &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	if err := firstUse(t, s, conf); !errors.Is(err, ConnErrBadIdentity) {
		t.Fatalf("got %v", err)
	}
	if n := len(logged.with("code", "connection:badIdentity")); n != 1 {
		t.Errorf("%d log records", n)
	}
}

// TestUntrustedServer: the client's own verification fails; its error is in the chain, and in the text.
func TestUntrustedServer(t *testing.T) {
	s := startServer(t, ServerConfig{})
	conf, _ := clientTLS(t)
	wrongPin := errors.New("wrong pin")
	conf.VerifyConnection = func(tls.ConnectionState) error { return wrongPin }
	if err := firstUse(t, s, conf); !errors.Is(err, ErrTLS) || !errors.Is(err, wrongPin) || !strings.Contains(err.Error(), wrongPin.Error()) {
		t.Fatalf("got %v", err)
	}
}

func TestOtherProtocol(t *testing.T) {
	s := startServer(t, ServerConfig{})
	conf, _ := clientTLS(t)
	conf.NextProtos = []string{"h3"}
	if err := firstUse(t, s, conf); !errors.Is(err, ErrTLS) {
		t.Fatalf("got %v", err)
	}
}

func TestServerConfigChecks(t *testing.T) {
	for name, cfg := range map[string]ServerConfig{
		"no TLS":         {Handler: newTestHandler()},
		"no handler":     {TLS: serverTLS(t)},
		"no client cert": {TLS: &tls.Config{}, Handler: newTestHandler()},
		"tiny messages":  {TLS: serverTLS(t), Handler: newTestHandler(), Limits: Limits{MaxMessage: 10}},
		"little memory":  {TLS: serverTLS(t), Handler: newTestHandler(), Limits: Limits{RequestMemory: 1 << 10}},
		"negative limit": {TLS: serverTLS(t), Handler: newTestHandler(), Limits: Limits{MaxCalls: -1}},
	} {
		if s, err := Listen("127.0.0.1:0", cfg); err == nil {
			s.socket.close()
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestSplitAddr(t *testing.T) {
	for _, test := range []struct {
		in, host string
		port     uint16
	}{
		{"chat.example", "chat.example", 7000}, {"chat.example:1", "chat.example", 1}, {"127.0.0.1", "127.0.0.1", 7000},
		{"::1", "::1", 7000}, {"[::1]", "::1", 7000}, {"[::1]:443", "::1", 443},
	} {
		if host, port, err := splitAddr(test.in); err != nil || host != test.host || port != test.port {
			t.Errorf("%s: %s %d %v", test.in, host, port, err)
		}
	}
	for _, bad := range []string{"", ":7000", "a:b:c", "host:99999", "host:port", "[::1"} {
		if host, port, err := splitAddr(bad); err == nil {
			t.Errorf("%q: %s %d", bad, host, port)
		}
	}
}
