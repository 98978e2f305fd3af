// Package daemon puts the rooms together: one UDP socket (quicrpc), the services behind its streams (as, ds), and the store under them.
// cmd/quicnprotochatd runs it; tests run it in their own process.
package daemon

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	capnp "capnproto.org/go/capnp/v3"

	"quicnprotochat/as"
	"quicnprotochat/certs"
	"quicnprotochat/ds"
	"quicnprotochat/quicrpc"
	"quicnprotochat/receipt"
	"quicnprotochat/store"
)

// ErrConfig says that the configuration cannot be used.
var ErrConfig = errors.New("bad configuration")

// ErrListen says that the UDP socket cannot be had.
var ErrListen = errors.New("cannot listen")

// ErrStore says that the data directory cannot be used as it is now: its disk is full or fails, or a file in it is damaged.
var ErrStore = errors.New("data directory not usable")

// Config is all that a daemon needs; see the flags of quicnprotochatd.
type Config struct {
	// Listen is the UDP address, host:port; port 0 takes a free one. Ignored when Socket is given.
	Listen string
	// Socket, if not nil, is used in place of a new one (systemd's). The daemon closes it.
	Socket net.PacketConn
	// DataDir holds everything that must outlive the process. It is made with mode 0700.
	DataDir string
	// CertFile and KeyFile are PEM files; both empty: the daemon's own certificate, made at the first start.
	CertFile, KeyFile string
	// StoreKeyFile holds the key that the store is encrypted with, always the same one; empty: it is not encrypted.
	StoreKeyFile string
	// BackupDir is where Backup makes its copies, best in the file system of DataDir, where they cost little; empty: it makes none. It must not be in DataDir.
	BackupDir string
	// DebugSocket is the path of a unix socket that answers HTTP: /stats (Stats as JSON), and Go's profiles below /debug/pprof/; empty: none. Only the daemon's own user
	// can open it: what a profile tells (names of functions, sizes) is no user's secret, but nothing for the network either.
	DebugSocket string
	// Limits of the transport; nil: quicrpc.DefaultLimits.
	Limits *quicrpc.Limits
	// Version is what clients are told.
	Version string
	// Logger must not be nil.
	Logger *slog.Logger
}

// Daemon is a running server. Its methods are safe for concurrent use.
type Daemon struct {
	server *quicrpc.Server
	store  store.Store
	as     *as.Service
	ds     *ds.Service
	cert   *certs.ServerCertificate
	log    *slog.Logger
	debug  *privateListener // nil: none

	receipts   *receipt.Signer
	endReceipt context.CancelFunc

	dataDir, backupDir string

	ballast []byte
}

// Start opens the data directory and the socket. What it returns does not serve yet: call Serve. Errors: ErrConfig, ErrListen, ErrStore, which may wrap
// one of package store (store.ErrLocked when another process has the directory).
func Start(cfg Config) (*Daemon, error) {
	if cfg.DataDir == "" {
		return nil, fmt.Errorf("%w: no data directory", ErrConfig)
	}
	if (cfg.CertFile == "") != (cfg.KeyFile == "") {
		return nil, fmt.Errorf("%w: a certificate file and a key file go together", ErrConfig)
	}
	if within(cfg.DataDir, cfg.BackupDir) {
		return nil, fmt.Errorf("%w: the directory for backups is in the data directory", ErrConfig)
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, keyError(err)
	}
	// The store first: its lock says whether another daemon has the directory, before any key in it is made or rotated.
	ballast := make([]byte, ballastBytes) // before anything else, so that it is fresh from the system
	st, err := openStore(&cfg)
	if err != nil {
		return nil, err
	}
	d := &Daemon{ballast: ballast, store: st, log: cfg.Logger, dataDir: cfg.DataDir, backupDir: cfg.BackupDir}
	if err := d.begin(cfg); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return d, nil
}

// begin reads the keys and opens the socket.
func (d *Daemon) begin(cfg Config) error {
	var err error
	if d.cert, err = serverCertificate(cfg); err != nil {
		return keyError(err)
	}
	keys, err := quicrpc.LoadKeys(filepath.Join(cfg.DataDir, "keys"))
	if err != nil {
		return keyError(err)
	}
	key, err := receiptKey(cfg.DataDir)
	if err != nil {
		return keyError(err)
	}
	if cfg.DebugSocket != "" {
		if d.debug, err = listenPrivate(cfg.DebugSocket); err != nil {
			return fmt.Errorf("%w: debug socket: %w", ErrConfig, err)
		}
	}
	if err := d.listen(cfg, d.cert, keys, key); err != nil {
		d.closeDebug()
		return err
	}
	return nil
}

// keyError tells a disk that is full or fails, which may pass, from what only somebody's hand can mend.
func keyError(err error) error {
	for _, disk := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.EROFS} {
		if errors.Is(err, disk) {
			return fmt.Errorf("%w: %w", ErrStore, err)
		}
	}
	return fmt.Errorf("%w: %w", ErrConfig, err)
}

func serverCertificate(cfg Config) (*certs.ServerCertificate, error) {
	if cfg.CertFile != "" {
		return certs.ServerCertificateFiles(cfg.CertFile, cfg.KeyFile)
	}
	return certs.OwnServerCertificate(cfg.DataDir)
}

func (d *Daemon) listen(cfg Config, cert *certs.ServerCertificate, keys *quicrpc.Keys, key ed25519.PrivateKey) error {
	limits := quicrpc.DefaultLimits()
	if cfg.Limits != nil {
		limits = *cfg.Limits
	}
	var ctx context.Context
	ctx, d.endReceipt = context.WithCancel(context.Background())
	d.receipts = receipt.NewSigner(ctx, key)
	public := d.receipts.Key()
	d.ds = ds.New(ds.Config{Store: d.store, Logger: cfg.Logger, Receipts: d.receipts})
	d.as = as.New(as.Config{
		Store: d.store, Logger: cfg.Logger,
		Info: as.Info{Name: "quicnprotochat", Version: cfg.Version, MaxCallBytes: uint32(limits.MaxMessage), ReceiptKey: public[:]},
		PoolLow: func(owner store.Identity, available int, lastResortUsed bool) {
			d.ds.Notify(owner, ds.PoolLow{Available: uint32(available), LastResortUsed: lastResortUsed})
		},
	})
	conf := quicrpc.ServerConfig{TLS: certs.ServerTLS(cert), Keys: keys, Limits: limits, Logger: cfg.Logger, Handler: d}
	var err error
	if cfg.Socket != nil {
		d.server, err = quicrpc.NewServer(cfg.Socket, conf)
	} else {
		d.server, err = quicrpc.Listen(cfg.Listen, conf)
	}
	if err != nil {
		d.closeServices()
		return fmt.Errorf("%w: %w", ErrListen, err)
	}
	return nil
}

// Bootstrap gives each stream the service that its type names, seen by the connection's peer.
func (d *Daemon) Bootstrap(c *quicrpc.ServerConn, t quicrpc.StreamType) (capnp.Client, error) {
	switch t {
	case quicrpc.StreamAS:
		return d.as.Client(c), nil
	case quicrpc.StreamDS:
		return d.ds.Client(c, func(ctx context.Context) (ds.PushStream, error) { return c.OpenPush(ctx) }), nil
	default:
		return capnp.Client{}, fmt.Errorf("no service on stream type %d", t)
	}
}

// Submit serves a SUBMIT stream.
func (d *Daemon) Submit(c *quicrpc.ServerConn, s *quicrpc.SubmitStream) { d.ds.Submit(c, s) }

// Closed forgets what was kept for a connection.
func (d *Daemon) Closed(c *quicrpc.ServerConn) { d.ds.Closed(c) }

// Addr is the address of the socket.
func (d *Daemon) Addr() net.Addr { return d.server.Addr() }

// Pin is the server's pin, for those who compare it out of band.
func (d *Daemon) Pin() certs.Pin { return d.cert.Pin() }

// Reload reads the certificate files again, for connections to come; when they cannot be used the old certificate stays.
func (d *Daemon) Reload() error { return d.cert.Reload() }

// Calls counts the calls to the delivery service since the start, by method.
func (d *Daemon) Calls() map[string]uint64 { return d.ds.Calls() }

// Serve serves until ctx ends or the socket fails, then shuts down within grace: stops accepting, tells the clients, lets calls
// under way finish, closes the store. It returns nil after an orderly end.
func (d *Daemon) Serve(ctx context.Context, grace time.Duration) error {
	failed := make(chan error, 1)
	serveCtx, stop := context.WithCancel(context.Background())
	var background sync.WaitGroup
	background.Go(func() { d.sweep(serveCtx) })
	background.Go(func() { d.tidy(serveCtx) })
	defer background.Wait()
	defer stop()
	if d.debug != nil {
		background.Go(func() { d.serveDebug(serveCtx) })
	}
	go func() { failed <- d.server.Serve(serveCtx) }()
	var err error
	served := false
	select {
	case err = <-failed:
		served = true
	case <-d.store.Failed():
		err = store.ErrFailed // it acknowledges nothing more: better to end, and to be started again, than to refuse for ever
	case <-ctx.Done():
	}
	graceCtx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if serr := d.server.Shutdown(graceCtx); serr != nil {
		d.log.Warn("shutdown did not finish in time", "err", serr)
	}
	if !served {
		<-failed
	}
	stop()
	background.Wait()
	d.closeServices()
	return errors.Join(err, d.store.Close())
}

const (
	// sweepEvery and sweepBudget bound the work of removing what has expired: so many things at a time.
	sweepEvery  = time.Minute
	sweepBudget = 1000
)

// sweep removes what has expired, a little at a time, until ctx ends.
func (d *Daemon) sweep(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for more := true; more && ctx.Err() == nil; {
			res, err := d.store.Sweep(ctx, sweepBudget)
			if err != nil && ctx.Err() == nil {
				d.log.Warn("sweep", "err", err)
			}
			more = err == nil && res.More
		}
		d.log.Debug("store", "stats", d.store.Stats())
	}
}

func (d *Daemon) closeServices() {
	d.ds.Close()
	d.as.Close()
	d.endReceipt()
	d.receipts.Wait()
}
