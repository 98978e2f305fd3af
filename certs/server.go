package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync/atomic"
	"time"
)

// ServerCertificate is the certificate that the server presents: its own (OwnServerCertificate) or an operator's (ServerCertificateFiles).
type ServerCertificate struct {
	current atomic.Pointer[tls.Certificate]
	make    func() (*tls.Certificate, error) // a fresh one: made, or read again
	renews  bool                             // its end is not the operator's affair
}

// ownName stands in the server's own certificate; clients that pin do not look at names.
const ownName = "quicnprotochat"

// OwnServerCertificate returns a self-signed certificate whose key (ECDSA P-256) stands in dir/server.key: made at the first
// start, kept from then on, so that clients that pinned it know the server again. The certificate itself is made anew
// when it nears its end.
func OwnServerCertificate(dir string) (*ServerCertificate, error) {
	path := filepath.Join(dir, "server.key")
	key, err := loadPrivateKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err == nil {
			err = savePrivateKey(path, key)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("server key: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: %s holds a %T", ErrKeyFile, path, key)
	}
	s := &ServerCertificate{renews: true, make: func() (*tls.Certificate, error) {
		c, err := selfSigned(signer, ownName, x509.ExtKeyUsageServerAuth, ownCertLifetime)
		return &c, err
	}}
	return s, s.Reload()
}

// ServerCertificateFiles reads an operator's certificate chain and private key, both PEM. Reload reads them again.
func ServerCertificateFiles(certFile, keyFile string) (*ServerCertificate, error) {
	s := &ServerCertificate{make: func() (*tls.Certificate, error) { return loadPair(certFile, keyFile) }}
	return s, s.Reload()
}

// Reload reads the files again (or makes the server's own certificate anew). Connections that come from now on see the new one; when it
// cannot be used, the error says why, and the old one stays.
func (s *ServerCertificate) Reload() error {
	c, err := s.make()
	if err != nil {
		return err
	}
	s.current.Store(c)
	return nil
}

func loadPair(certFile, keyFile string) (*tls.Certificate, error) {
	c, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("server certificate %s: %w", certFile, err)
	}
	if time.Now().After(c.Leaf.NotAfter) {
		return nil, fmt.Errorf("server certificate %s: expired on %s", certFile, c.Leaf.NotAfter.Format(time.DateOnly))
	}
	return &c, nil
}

// Get returns the certificate to present now. It is a tls.Config.GetCertificate.
func (s *ServerCertificate) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c := s.current.Load()
	if s.renews && time.Until(c.Leaf.NotAfter) < ownCertRenew {
		_ = s.Reload() // if it fails, the old one still serves those who pinned its key
		c = s.current.Load()
	}
	return c, nil
}

// Pin is the pin of the certificate that is presented now.
func (s *ServerCertificate) Pin() Pin { return pinOf(s.current.Load().Leaf) }

// ServerTLS returns the server's TLS configuration: TLS 1.3 only, Go's default key exchanges (X25519MLKEM768 first), and a client
// certificate with an Ed25519 key required.
func ServerTLS(cert *ServerCertificate) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		GetCertificate: cert.Get,
		// Any certificate: it only carries the key, and nobody else vouches for it.
		ClientAuth: tls.RequireAnyClientCert,
		// VerifyConnection, because it runs for resumed sessions too.
		VerifyConnection: func(cs tls.ConnectionState) error {
			_, err := PeerIdentity(cs)
			return err
		},
	}
}
