package quicrpc

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"math/big"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"capnproto.org/go/capnp/v3"
	"github.com/quic-go/quic-go"
	"go.uber.org/goleak"

	"quicnprotochat/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testTimeout = 20 * time.Second

// testContext ends with the test, or after testTimeout.
func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

func testCertificate(t testing.TB) (tls.Certificate, Peer) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, Peer(public)
}

func serverTLS(t testing.TB) *tls.Config {
	cert, _ := testCertificate(t)
	return &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert}
}

// clientTLS does not look at the server's certificate: who the server is, is not this package's concern.
func clientTLS(t testing.TB) (*tls.Config, Peer) {
	cert, peer := testCertificate(t)
	return &tls.Config{Certificates: []tls.Certificate{cert}, InsecureSkipVerify: true, ServerName: "test"}, peer
}

// echo is the service of the tests: uploadKeyPackage returns its package. What fetchKeyPackage does, call says.
type echo struct {
	schemas.AuthenticationService_Server // the methods that no test calls
	call                                 func(ctx context.Context, c schemas.AuthenticationService_fetchKeyPackage) error
}

func (e *echo) UploadKeyPackage(_ context.Context, c schemas.AuthenticationService_uploadKeyPackage) error {
	p, err := c.Args().Package()
	if err != nil {
		return Errorf(CodeInvalidArgument, "package")
	}
	r, err := c.AllocResults()
	if err != nil {
		return err
	}
	return r.SetFingerprint(p)
}

func (e *echo) FetchKeyPackage(ctx context.Context, c schemas.AuthenticationService_fetchKeyPackage) error {
	c.Go()
	return e.call(ctx, c)
}

// testHandler serves echo on every stream and passes connections on.
type testHandler struct {
	echo   echo
	submit func(*ServerConn, *SubmitStream) // nil: each request is answered with itself
	conns  chan *ServerConn                 // every connection, at its first stream
	seen   sync.Map
	closed atomic.Int64
}

// meet passes a connection on, the first time.
func (h *testHandler) meet(c *ServerConn) {
	if _, old := h.seen.LoadOrStore(c, true); !old {
		select {
		case h.conns <- c:
		default:
		}
	}
}

func (h *testHandler) Bootstrap(c *ServerConn, _ StreamType) (capnp.Client, error) {
	h.meet(c)
	return capnp.Client(schemas.AuthenticationService_ServerToClient(&h.echo)), nil
}

func (h *testHandler) Submit(c *ServerConn, s *SubmitStream) {
	h.meet(c)
	if h.submit != nil {
		h.submit(c, s)
		return
	}
	for {
		m, held, err := s.ReadRequest()
		if err != nil {
			_ = s.CloseWrite()
			return
		}
		err = s.WriteMessage(m)
		s.Release(held)
		if err != nil {
			return
		}
	}
}

func (h *testHandler) Closed(c *ServerConn) { h.closed.Add(1) }

func newTestHandler() *testHandler { return &testHandler{conns: make(chan *ServerConn, 64)} }

// startServer runs a server on loopback until the test ends. Zero fields of cfg are filled.
func startServer(t testing.TB, cfg ServerConfig) *Server {
	t.Helper()
	if cfg.TLS == nil {
		cfg.TLS = serverTLS(t)
	}
	if cfg.Handler == nil {
		cfg.Handler = newTestHandler()
	}
	s, err := Listen("127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	runServer(t, s)
	return s
}

func runServer(t testing.TB, s *Server) {
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background()) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

func dial(t testing.TB, s *Server, cfg ClientConfig) *Conn {
	t.Helper()
	if cfg.TLS == nil {
		cfg.TLS, _ = clientTLS(t)
	}
	c, err := Dial(testContext(t), s.Addr().String(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func bootstrap(t testing.TB, c *Conn) (*RPC, schemas.AuthenticationService) {
	t.Helper()
	r, err := c.Bootstrap(testContext(t), StreamAS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r, schemas.AuthenticationService(r.Client())
}

// callEcho calls uploadKeyPackage and returns what came back, its error through r.Err.
func callEcho(ctx context.Context, r *RPC, payload []byte) ([]byte, error) {
	f, release := schemas.AuthenticationService(r.Client()).UploadKeyPackage(ctx, func(p schemas.AuthenticationService_uploadKeyPackage_Params) error {
		return p.SetPackage(payload)
	})
	defer release()
	res, err := f.Struct()
	if err != nil {
		return nil, r.Err(err)
	}
	back, err := res.Fingerprint()
	return append([]byte(nil), back...), err
}

// callFetch calls fetchKeyPackage.
func callFetch(ctx context.Context, r *RPC) error {
	f, release := schemas.AuthenticationService(r.Client()).FetchKeyPackage(ctx, nil)
	defer release()
	_, err := f.Struct()
	return r.Err(err)
}

// dialRaw connects without this package's client, to misbehave.
func dialRaw(t testing.TB, s *Server) *quic.Conn {
	t.Helper()
	pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	tr := &quic.Transport{Conn: pc, ConnectionIDLength: connIDLength}
	conf, _ := clientTLS(t)
	quietBufferWarning()
	q, err := tr.Dial(testContext(t), s.Addr(), tlsConfig(conf), &quic.Config{MaxIncomingStreams: 100})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		q.CloseWithError(0, "")
		tr.Close()
		pc.Close()
	})
	return q
}

// logBuffer collects log records.
type logBuffer struct {
	mu      sync.Mutex
	records []map[string]string
	slog.Handler
}

func newLog() (*slog.Logger, *logBuffer) {
	b := &logBuffer{Handler: slog.DiscardHandler}
	return slog.New(b), b
}

func (b *logBuffer) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }
func (b *logBuffer) WithAttrs([]slog.Attr) slog.Handler           { return b }
func (b *logBuffer) Handle(_ context.Context, r slog.Record) error {
	m := map[string]string{"msg": r.Message}
	r.Attrs(func(a slog.Attr) bool { m[a.Key] = a.Value.String(); return true })
	b.mu.Lock()
	defer b.mu.Unlock()
	b.records = append(b.records, m)
	return nil
}

// with returns the records whose key has value.
func (b *logBuffer) with(key, value string) []map[string]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []map[string]string
	for _, m := range b.records {
		if m[key] == value {
			found = append(found, m)
		}
	}
	return found
}

// eventually waits for what this package gives no event for: a number that another goroutine is about to change.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for ctx := testContext(t); !ok(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not so after %v: %s", testTimeout, what)
		}
	}
}
