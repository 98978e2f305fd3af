package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

// daemonStats is what of the daemon's /stats the harness uses (daemon.Stats).
type daemonStats struct {
	Goroutines int
	HeapAlloc  uint64 // of what lives, and garbage that is not collected yet
	HeapInuse  uint64 // of the spans that this lies in
	StackInuse uint64
	Sys        uint64
	Transport  struct{ Connections, PushStreams, RPCStreams int }
	Store      struct{ Stored, Acknowledged, Syncs, DiskBytes uint64 }
}

// errNoDebug says that the daemon was not started by the harness, which then knows no debug socket.
var errNoDebug = errors.New("the daemon's debug socket is not known")

// collections is how often garbage is collected before memory is told: what lies ready in pools outlives the first.
const collections = 2

// stats asks the daemon for its numbers; collect says to collect garbage before.
func (s *server) stats(ctx context.Context, collect bool) (st daemonStats, err error) {
	for i := 0; collect && i < collections; i++ {
		if err := s.ask(ctx, "/debug/pprof/heap?gc=1", io.Discard); err != nil {
			return st, err
		}
	}
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(s.ask(ctx, "/stats", w)) }()
	err = json.NewDecoder(r).Decode(&st)
	_ = r.Close()
	return st, err
}

// ask copies what the daemon's debug socket answers to w: of /debug/pprof/profile?seconds=10, a CPU profile of ten seconds.
func (s *server) ask(ctx context.Context, path string, w io.Writer) error {
	socket := s.debugSocket()
	if socket == "" {
		return errNoDebug
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://daemon"+path, nil)
	if err != nil {
		return err
	}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("debug socket: %s: %s", path, res.Status)
	}
	_, err = io.Copy(w, res.Body)
	return err
}
