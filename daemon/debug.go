package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"quicnprotochat/quicrpc"
	"quicnprotochat/store"
)

// Stats is what the debug socket's /stats tells.
type Stats struct {
	Goroutines int
	HeapAlloc  uint64 // bytes, as the three that follow; without what is never touched
	HeapInuse  uint64
	StackInuse uint64
	Sys        uint64 // of all kinds that Go has from the system
	GCs        uint32 // since the start
	Transport  quicrpc.Stats
	Store      store.Stats
	Calls      map[string]uint64 // to the delivery service, by method
}

// Stats returns the daemon's numbers. It stops all goroutines for some microseconds.
func (d *Daemon) Stats() Stats {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	ballast := uint64(len(d.ballast))
	return Stats{
		Goroutines: runtime.NumGoroutine(), HeapAlloc: m.HeapAlloc - ballast, HeapInuse: m.HeapInuse - ballast, StackInuse: m.StackInuse, Sys: m.Sys, GCs: m.NumGC,
		Transport: d.server.Stats(), Store: d.store.Stats(), Calls: d.ds.Calls(),
	}
}

// serveDebug answers on the debug socket until ctx ends, and removes it.
func (d *Daemon) serveDebug(ctx context.Context) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(d.Stats())
	})
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(d.log.Handler(), slog.LevelDebug)}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(d.debug); !errors.Is(err, http.ErrServerClosed) {
		d.log.Warn("debug socket", "err", err)
	}
	d.closeDebug()
}

func (d *Daemon) closeDebug() {
	if d.debug != nil {
		_ = d.debug.Close()
		_ = os.Remove(d.debug.path)
	}
}

// listenPrivate makes a unix socket of mode 0600. It is made in a directory that nobody else can enter, and moved: at no time can others open it.
func listenPrivate(path string) (*privateListener, error) {
	if st, err := os.Lstat(path); err == nil && st.Mode()&os.ModeSocket == 0 {
		return nil, fmt.Errorf("%s: exists and is no socket", path)
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".debug-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	made := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: made, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(made, 0o600), os.Rename(made, path)); err != nil {
		_ = l.Close()
		return nil, err
	}
	return &privateListener{l, path}, nil
}

// privateListener is a listener, and where its socket lies.
type privateListener struct {
	net.Listener
	path string
}
