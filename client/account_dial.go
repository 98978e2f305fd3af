package client

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"time"

	bolt "go.etcd.io/bbolt"

	"quicnprotochat/certs"
	"quicnprotochat/quicrpc"
)

// DialOptions say where and how to connect; zero values: the account's own server, its pin or first use.
type DialOptions struct {
	// Addr overrides the account's server.
	Addr string
	// Pin, if not nil, is expected in place of the kept one, and kept.
	Pin *certs.Pin
	// Roots, if not nil, are authorities that must vouch for the server's name.
	Roots *x509.CertPool
	// Early sends calls without effect in 0-RTT when a ticket is there.
	Early bool
	// KeepAlive is the time between signs of life; a server that was started anew says so at the next one, and one that does not answer for two and a half times as long
	// is given up. 0: the defaults of quicrpc.
	KeepAlive time.Duration
	// FirstUse, if not nil, is told the pin of a server that was not known before.
	FirstUse func(addr string, pin certs.Pin)
	// Answered is Config.Answered.
	Answered func()
}

// Dial connects to the server. The first time, the server's key is taken on trust and pinned; afterwards another key is refused with
// certs.ErrPinMismatch.
func (a *Account) Dial(ctx context.Context, opts DialOptions) (*Session, error) {
	addr := opts.Addr
	if addr == "" {
		addr = a.server
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("%w: server address %q: want host:port", ErrInvalid, addr)
	}
	kept, err := a.pin(addr)
	if err != nil {
		return nil, err
	}
	trust := certs.Trust{Pin: kept, Roots: opts.Roots, ServerName: host}
	if opts.Pin != nil {
		trust.Pin = opts.Pin
	}
	limits := quicrpc.DefaultClientLimits()
	if opts.KeepAlive != 0 {
		limits.KeepAlive, limits.IdleTimeout = opts.KeepAlive, opts.KeepAlive*5/2
	}
	known := kept != nil && (opts.Pin == nil || *opts.Pin == *kept)
	tickets := a.ticketCache(addr)
	if kept != nil && !known {
		tickets.Get("") // uses it up: a resumed session would show the old key
	}
	s, err := Dial(ctx, Config{Addr: addr, Key: a.key, Trust: trust, Sessions: tickets, Limits: &limits, Logger: a.log,
		Early: opts.Early && known, Answered: opts.Answered}) // a key is pinned only after the whole handshake
	if err != nil {
		return nil, err
	}
	pin := kept
	if !known {
		var presented certs.Pin
		if presented, err = certs.ServerPin(s.conn.State().TLS); err == nil {
			pin, err = &presented, a.setPin(addr, presented)
		}
	}
	if err == nil {
		s.foreign, err = a.foreign(addr, *pin)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	if known {
		return s, nil
	}
	if opts.FirstUse != nil && trust.Pin == nil {
		opts.FirstUse(addr, *pin)
	}
	return s, nil
}

// foreign says whether a server is another than the account's own, as far as that one's key is known: groups, outbox and cursors are not of it.
func (a *Account) foreign(addr string, pin certs.Pin) (bool, error) {
	if addr == a.server {
		return false, nil
	}
	home, err := a.pin(a.server)
	return home != nil && *home != pin, err
}

// atHome is an error if what belongs to the account's own server must not go over s.
func (a *Account) atHome(s *Session) error {
	if s.foreign {
		return fmt.Errorf("%w: the groups and messages of this account are at %s, and this is another server", ErrInvalid, a.server)
	}
	return nil
}

func (a *Account) pin(addr string) (pin *certs.Pin, err error) {
	err = a.state.view(func(tx *bolt.Tx) error {
		if v := tx.Bucket(bucketPins).Get([]byte(addr)); len(v) == certs.PinSize {
			p := certs.Pin(v)
			pin = &p
		}
		return nil
	})
	return pin, err
}

func (a *Account) setPin(addr string, pin certs.Pin) error {
	return a.state.update(func(tx *bolt.Tx) error { return tx.Bucket(bucketPins).Put([]byte(addr), pin[:]) })
}
