package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestDebugSocket(t *testing.T) {
	dir := t.TempDir()
	file, path := filepath.Join(dir, "file"), filepath.Join(dir, "debug")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := Config{Listen: "127.0.0.1:0", DataDir: filepath.Join(dir, "data"), DebugSocket: file, Logger: slog.New(slog.DiscardHandler)}
	if _, err := Start(cfg); !errors.Is(err, ErrConfig) {
		t.Fatalf("a file in the way: %v", err)
	}
	cfg.DebugSocket = path
	d, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	defer end()
	served := make(chan error, 1)
	go func() { served <- d.Serve(ctx, time.Second) }()
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("the socket: %v, %v", st, err)
	}
	var stats Stats
	if err := json.Unmarshal(get(t, path, "/stats"), &stats); err != nil || stats.Goroutines == 0 || stats.Sys == 0 {
		t.Fatalf("stats: %+v, %v", stats, err)
	}
	if text := string(get(t, path, "/debug/pprof/goroutine?debug=1")); !strings.Contains(text, "goroutine profile:") {
		t.Fatalf("profile: %q", text)
	}
	end()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*debug*")); len(left) > 0 {
		t.Fatalf("left behind: %v", left)
	}
}

// get asks the unix socket at path.
func get(t *testing.T, path, url string) []byte {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Get("http://daemon" + url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, res.Status, err)
	}
	return b
}
