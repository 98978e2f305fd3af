package certs

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"time"
)

const (
	// clientCertLifetime: made anew at each start, from a kept key, so its end hardly ever comes.
	clientCertLifetime = 10 * 365 * 24 * time.Hour
	// ownCertLifetime and ownCertRenew: the server makes its own certificate anew from the kept key this long before its end.
	ownCertLifetime = 365 * 24 * time.Hour
	ownCertRenew    = 30 * 24 * time.Hour
	// clockSkew is how far in the past a new certificate begins, for peers whose clocks are behind.
	clockSkew = time.Hour
)

// ClientCertificate returns the self-signed certificate that carries key's identity into TLS.
func ClientCertificate(key ed25519.PrivateKey) (tls.Certificate, error) {
	return selfSigned(key, IdentityOf(key).Short(), x509.ExtKeyUsageClientAuth, clientCertLifetime)
}

func selfSigned(key crypto.Signer, name string, usage x509.ExtKeyUsage, lifetime time.Duration) (tls.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		DNSNames:     []string{name},
		NotBefore:    now.Add(-clockSkew),
		NotAfter:     now.Add(lifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{usage},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}
