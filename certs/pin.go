package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// PinSize is the length of a pin in bytes.
const PinSize = sha256.Size

var (
	// ErrPin says that a string is not a pin.
	ErrPin = errors.New("not a server pin")
	// ErrPinMismatch says that the server's key is not the pinned one. The error itself is a *PinMismatchError.
	ErrPinMismatch = errors.New("server key does not match its pin")
)

// Pin is SHA-256 over a certificate's SubjectPublicKeyInfo: it stays when the certificate is renewed with the same key, and
// changes when the key does.
type Pin [PinSize]byte

// PinMismatchError tells which key was expected of the server and which one it has.
type PinMismatchError struct{ Want, Got Pin }

func (e *PinMismatchError) Error() string {
	return fmt.Sprintf("%v: want %s, got %s", ErrPinMismatch, e.Want, e.Got)
}

// Is makes errors.Is(err, ErrPinMismatch) true.
func (e *PinMismatchError) Is(target error) bool { return target == ErrPinMismatch }

// String returns "sha256:" and 64 hexadecimal digits.
func (p Pin) String() string { return "sha256:" + hex.EncodeToString(p[:]) }

// ParsePin reads what String printed.
func ParsePin(s string) (Pin, error) {
	b, err := hex.DecodeString(strings.TrimPrefix(strings.TrimSpace(s), "sha256:"))
	if err != nil || len(b) != PinSize {
		return Pin{}, fmt.Errorf("%w: %q: want sha256: and %d hexadecimal digits", ErrPin, abbreviate(s), 2*PinSize)
	}
	return Pin(b), nil
}

func pinOf(c *x509.Certificate) Pin { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }

// ServerPin returns the pin of the server at the other end of a connection whose handshake has completed.
func ServerPin(cs tls.ConnectionState) (Pin, error) {
	if len(cs.PeerCertificates) == 0 {
		return Pin{}, fmt.Errorf("%w: server sent no certificate", ErrPin)
	}
	return pinOf(cs.PeerCertificates[0]), nil
}

// Trust says how a client recognises a server. The zero value accepts any: for a first contact, whose pin the caller then
// takes with ServerPin, once the handshake has completed (only then is it proven that the server holds the key), and keeps.
type Trust struct {
	// Pin, if not nil, is the only key that is accepted.
	Pin *Pin
	// Roots, if not nil, are the authorities that must vouch for the server's name. May stand beside Pin.
	Roots *x509.CertPool
	// ServerName is the name to check with Roots, and the one sent in the handshake.
	ServerName string
}

// ClientTLS returns the client's TLS configuration: TLS 1.3 only, its identity certificate, and the server check that trust asks for.
func ClientTLS(cert tls.Certificate, trust Trust) *tls.Config {
	cfg := &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{cert},
		ServerName:   trust.ServerName,
		RootCAs:      trust.Roots,
		// Without roots, the pin is the check: names and authorities say nothing about a self-signed key.
		InsecureSkipVerify: trust.Roots == nil,
	}
	if trust.Pin != nil {
		want := *trust.Pin
		cfg.VerifyConnection = func(cs tls.ConnectionState) error { return checkPin(cs, want) }
	}
	return cfg
}

func checkPin(cs tls.ConnectionState, want Pin) error {
	got, err := ServerPin(cs)
	if err != nil {
		return err
	}
	if got != want {
		return &PinMismatchError{Want: want, Got: got}
	}
	return nil
}
