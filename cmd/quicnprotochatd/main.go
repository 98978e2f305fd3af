// Command quicnprotochatd is the daemon: the authentication and delivery services on one UDP port. docs/architecture.md tells the rest.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	sd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quicnprotochat/cmd/internal/buildinfo"
	"quicnprotochat/cmd/internal/envflag"
	"quicnprotochat/daemon"
	"quicnprotochat/store"
)

// Exit codes, for scripts and for systemd's RestartPreventExitStatus.
const (
	exitFailure = 1
	exitUsage   = 2 // bad flag or configuration
	exitListen  = 3 // the address cannot be had
	exitLocked  = 4 // another daemon has the data directory
	exitStore   = 5 // the store cannot be opened, or its disk failed
	exitDamage  = 6 // the store holds what cannot be read
)

// grace is how long calls under way may take after TERM; with the store's closing it stays under the promised 10 s.
const grace = 7 * time.Second

var errUsage = errors.New("usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	cmd := newCommand()
	if err := cmd.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "quicnprotochatd:", err)
		os.Exit(exitCode(err))
	}
}

func exitCode(err error) int {
	switch {
	case errors.Is(err, errUsage), errors.Is(err, daemon.ErrConfig):
		return exitUsage
	case errors.Is(err, errDamage):
		return exitDamage
	case errors.Is(err, daemon.ErrListen):
		return exitListen
	case errors.Is(err, store.ErrLocked):
		return exitLocked
	case errors.Is(err, daemon.ErrStore), errors.Is(err, store.ErrFailed):
		return exitStore
	default:
		return exitFailure
	}
}

func newCommand() *cobra.Command {
	var cfg daemon.Config
	var level, format string
	cmd := &cobra.Command{
		Use:   "quicnprotochatd",
		Short: "QUIC-native daemon for end-to-end encrypted group messaging",
		Long: `quicnprotochatd serves the authentication and delivery services of quicnprotochat on one UDP port.
Every flag can be given by an environment variable: --data-dir is QUICNPROTOCHAT_DATA_DIR.
It logs to standard error, tells systemd when it is ready, reads its certificate again on HUP, makes a backup on USR1, and ends cleanly on TERM or INT.`,
		Version: buildinfo.Version(),
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.NoArgs(cmd, args); err != nil {
				return fmt.Errorf("%w: %w", errUsage, err)
			}
			return nil
		},
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := envflag.Apply(cmd); err != nil {
				return fmt.Errorf("%w: %w", errUsage, err)
			}
			log, err := newLogger(os.Stderr, level, format)
			if err != nil {
				return fmt.Errorf("%w: %w", errUsage, err)
			}
			cfg.Logger, cfg.Version = log, buildinfo.Version()
			return serve(cmd.Context(), cfg)
		},
	}
	storeFlags(cmd.Flags(), &cfg)
	f := cmd.Flags()
	f.StringVar(&cfg.Listen, "listen", "0.0.0.0:7000", "UDP `address` to listen on; port 0 takes a free one")
	f.StringVar(&cfg.CertFile, "cert", "", "PEM `file` with the server's certificate chain; default: its own, made at the first start")
	f.StringVar(&cfg.KeyFile, "key", "", "PEM `file` with the private key for --cert")
	f.StringVar(&cfg.BackupDir, "backup-dir", "", "`directory` where USR1 makes a copy of the data directory; default: none is made")
	f.StringVar(&cfg.DebugSocket, "debug-socket", "", "answer HTTP on a unix socket at this `path`, for the daemon's own user: /stats and Go's profiles; default: none")
	f.StringVar(&level, "log-level", "info", "least `level` logged: debug, info, warn, error")
	f.StringVar(&format, "log-format", "text", "`format` of log lines: text or json")
	cmd.AddCommand(newStoreCommand())
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %w", errUsage, err) })
	return cmd
}

// storeFlags are those that say where the store is.
func storeFlags(f *pflag.FlagSet, cfg *daemon.Config) {
	f.StringVar(&cfg.DataDir, "data-dir", defaultDataDir(), "`directory` for all that must outlive the process")
	f.StringVar(&cfg.StoreKeyFile, "store-key-file", "", "`file` with the key that the store is encrypted with, 32 bytes or 64 hexadecimal digits; default: not encrypted")
}

// defaultDataDir is systemd's StateDirectory, if there is one.
func defaultDataDir() string {
	if dir, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":"); dir != "" {
		return dir
	}
	return "/var/lib/quicnprotochat"
}

func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var opts slog.HandlerOptions
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q: want debug, info, warn or error", level)
	}
	opts.Level = l
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, &opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, &opts)), nil
	default:
		return nil, fmt.Errorf("log format %q: want text or json", format)
	}
}

func serve(ctx context.Context, cfg daemon.Config) error {
	socket, err := systemdSocket()
	if err != nil {
		return fmt.Errorf("%w: %w", daemon.ErrListen, err)
	}
	cfg.Socket = socket
	d, err := daemon.Start(cfg)
	if err != nil {
		if socket != nil {
			socket.Close()
		}
		return err
	}
	defer onSignal(syscall.SIGHUP, func() { reload(d, cfg.Logger) })() // before systemd is told, which may then send a HUP
	defer onSignal(syscall.SIGUSR1, func() { backup(ctx, d, cfg.Logger) })()
	cfg.Logger.Info("listening", "addr", d.Addr().String(), "pin", d.Pin().String(), "version", buildinfo.Version(), "data", cfg.DataDir)
	notify(cfg.Logger, sd.SdNotifyReady)
	stopping := context.AfterFunc(ctx, func() {
		cfg.Logger.Info("stopping")
		notify(cfg.Logger, sd.SdNotifyStopping)
	})
	defer stopping()
	if err := d.Serve(ctx, grace); err != nil {
		return err
	}
	cfg.Logger.Info("stopped")
	return nil
}

// onSignal calls f at each signal, one call at a time, until the function that it returns is called.
func onSignal(sig os.Signal, f func()) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, sig)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range signals {
			f()
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
		<-done
	}
}

// reload reads the certificate again.
func reload(d *daemon.Daemon, log *slog.Logger) {
	if err := d.Reload(); err != nil {
		log.Error("certificate not reloaded; the old one stays", "err", err)
		return
	}
	log.Info("certificate reloaded", "pin", d.Pin().String())
}

func backup(ctx context.Context, d *daemon.Daemon, log *slog.Logger) {
	dir, err := d.Backup(ctx)
	if err != nil {
		log.Error("backup", "err", err)
		return
	}
	log.Info("backup made", "dir", dir)
}

func notify(log *slog.Logger, state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		log.Warn("systemd not told", "state", state, "err", err)
	}
}

// systemdSocket returns the UDP socket that systemd passed, nil if it passed none.
func systemdSocket() (net.PacketConn, error) {
	conns, err := activation.PacketConns()
	if err != nil {
		return nil, err
	}
	var found net.PacketConn
	for _, c := range conns {
		switch {
		case c == nil:
		case found != nil:
			return nil, errors.New("systemd passed more than one UDP socket")
		default:
			found = c
		}
	}
	return found, nil
}
