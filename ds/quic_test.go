package ds_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"testing"
	"time"

	"capnproto.org/go/capnp/v3"

	"quicnprotochat/ds"
	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
	"quicnprotochat/store"
	"quicnprotochat/store/hotlog"
)

// handler serves ds on every stream.
type handler struct{ s *ds.Service }

func (h handler) Bootstrap(c *quicrpc.ServerConn, t quicrpc.StreamType) (capnp.Client, error) {
	if t != quicrpc.StreamDS {
		return capnp.Client{}, fmt.Errorf("no service on stream type %d", t)
	}
	return h.s.Client(c, func(ctx context.Context) (ds.PushStream, error) { return c.OpenPush(ctx) }), nil
}

func (h handler) Submit(c *quicrpc.ServerConn, s *quicrpc.SubmitStream) { h.s.Submit(c, s) }

func (h handler) Closed(c *quicrpc.ServerConn) { h.s.Closed(c) }

// identity returns a certificate for a new key.
func identity(t testing.TB) (tls.Certificate, quicrpc.Peer) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, quicrpc.Peer(public)
}

// server is a daemon's worth: hotlog, ds and quicrpc on a loopback port.
type server struct {
	addr  string
	ds    *ds.Service
	store store.Store
}

func serve(t testing.TB, l ds.Limits) *server {
	t.Helper()
	st, err := hotlog.Open(hotlog.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := quicrpc.LoadKeys(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := identity(t)
	s := &server{ds: ds.New(ds.Config{Store: st, Limits: l}), store: st}
	q, err := quicrpc.Listen("127.0.0.1:0", quicrpc.ServerConfig{
		TLS:     &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS13},
		Keys:    keys,
		Handler: handler{s.ds},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.addr = q.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- q.Serve(ctx) }()
	t.Cleanup(func() {
		grace, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err := q.Shutdown(grace)
		stop()
		<-ended
		s.ds.Close()
		if err = errors.Join(err, st.Close()); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	return s
}

// client is a connection with its DS capability.
type client struct {
	*quicrpc.Conn
	ds schemas.DeliveryService
}

func (s *server) dial(t testing.TB, cert tls.Certificate) *client {
	t.Helper()
	c, err := quicrpc.Dial(t.Context(), s.addr, quicrpc.ClientConfig{
		TLS: &tls.Config{Certificates: []tls.Certificate{cert}, InsecureSkipVerify: true, ServerName: "test", MinVersion: tls.VersionTLS13},
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Bootstrap(t.Context(), quicrpc.StreamDS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(); _ = c.Close() })
	return &client{c, schemas.DeliveryService(r.Client())}
}

func (c *client) listen(t testing.TB) {
	t.Helper()
	f, release := c.ds.Listen(t.Context(), nil)
	defer release()
	if _, err := f.Struct(); err != nil {
		t.Fatal(err)
	}
}

// send enqueues n payloads of a size to one recipient's group, 50 a call, and returns when they are on disk.
func (c *client) send(ctx context.Context, to quicrpc.Peer, group string, n, size int) error {
	for n > 0 {
		k := min(n, 50, max(1, 900_000/size))
		n -= k
		f, release := c.ds.EnqueueMany(ctx, func(p schemas.DeliveryService_enqueueMany_Params) error {
			list, err := p.NewSubmissions(int32(k))
			for i := range k {
				e := list.At(i)
				r, rerr := e.NewRecipients(1)
				id := make([]byte, 16)
				_, _ = rand.Read(id)
				err = errors.Join(err, rerr, r.Set(0, to[:]), e.SetId(id), e.SetGroupId([]byte(group)), e.SetPayload(make([]byte, size)))
			}
			return err
		})
		_, err := f.Struct()
		release()
		if err != nil {
			return quicrpc.FromRPC(err)
		}
	}
	return nil
}

// pushed is an open PUSH stream at the client.
type pushed struct {
	*quicrpc.FrameStream
	group string
	last  uint64
	acked uint64 // on another connection before: up to there messages may be left out
}

func (c *client) accept(t testing.TB) *pushed {
	t.Helper()
	s, err := c.AcceptPush(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p := &pushed{FrameStream: s}
	f, err := p.frame()
	if err != nil {
		t.Fatal(err)
	}
	o, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	g, err := o.GroupId()
	if err != nil {
		t.Fatal(err)
	}
	p.group, p.last = string(g), o.After()
	return p
}

func (p *pushed) frame() (schemas.PushFrame, error) {
	m, err := p.ReadMessage()
	if err != nil {
		return schemas.PushFrame{}, err
	}
	return schemas.ReadRootPushFrame(m)
}

// read takes frames up to seq, in order, and acknowledges each.
func (p *pushed) read(seq uint64) error {
	for p.last < seq {
		f, err := p.frame()
		if err != nil {
			return err
		}
		list, err := f.Deliver()
		if err != nil {
			return err
		}
		for i := range list.Len() {
			seq := list.At(i).Seq()
			if p.last++; seq != p.last && (seq < p.last || seq > p.acked+1) {
				return fmt.Errorf("seq %d, want %d", seq, p.last)
			}
			p.last = seq
		}
		if err := p.ack(p.last); err != nil {
			return err
		}
	}
	return nil
}

func (p *pushed) ack(seq uint64) error {
	m, seg, err := capnp.NewMessage(capnp.SingleSegment(nil))
	if err != nil {
		return err
	}
	a, err := schemas.NewRootPushAck(seg)
	if err != nil {
		return err
	}
	a.SetUpTo(seq)
	return p.WriteMessage(m)
}

// TestQUICPush: a thousand messages arrive at a listening client, whose only call is listen; then it comes back after its connection
// died, and gets what it had not acknowledged.
func TestQUICPush(t *testing.T) {
	s := serve(t, ds.Limits{})
	aliceCert, _ := identity(t)
	bobCert, bob := identity(t)
	alice, phone := s.dial(t, aliceCert), s.dial(t, bobCert)
	phone.listen(t)
	before := s.ds.Calls()
	done := make(chan error, 1)
	go func() { done <- alice.send(t.Context(), bob, "g", 1000, 256) }()
	p := phone.accept(t)
	if p.group != "g" {
		t.Fatalf("group %q", p.group)
	}
	if err := p.read(1000); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for method, n := range s.ds.Calls() {
		if want := map[string]uint64{"enqueueMany": 20}[method]; n-before[method] != want {
			t.Errorf("%s was called %d times, want %d", method, n-before[method], want)
		}
	}

	if err := alice.send(t.Context(), bob, "g", 3, 10); err != nil {
		t.Fatal(err)
	}
	if _, err := p.frame(); err != nil {
		t.Fatal(err)
	}
	_ = phone.Close()
	again := s.dial(t, bobCert)
	again.listen(t)
	p = again.accept(t)
	if p.last > 1000 { // the last acknowledgements may not have arrived
		t.Fatalf("goes on after %d", p.last)
	}
	p.acked = 1000 // which the store may learn while it is pushed
	if err := p.read(1003); err != nil {
		t.Fatal(err)
	}
}

// TestQUICHostileAck: the stream ends with the protocol code.
func TestQUICHostileAck(t *testing.T) {
	s := serve(t, ds.Limits{})
	cert, id := identity(t)
	c := s.dial(t, cert)
	c.listen(t)
	if err := c.send(t.Context(), id, "", 1, 10); err != nil {
		t.Fatal(err)
	}
	p := c.accept(t)
	if err := p.ack(2); err != nil {
		t.Fatal(err)
	}
	var err error
	for err == nil {
		_, err = p.frame()
	}
	if !errors.Is(err, quicrpc.StreamErrProtocol) {
		t.Fatalf("%v, want the protocol code", err)
	}
}

// TestQUICStuckStream: nobody reads a stream that carries megabytes; the inbox, and another owner, are served meanwhile.
func TestQUICStuckStream(t *testing.T) {
	s := serve(t, ds.Limits{})
	cert, id := identity(t)
	otherCert, other := identity(t)
	c, o := s.dial(t, cert), s.dial(t, otherCert)
	c.listen(t)
	o.listen(t)
	if err := c.send(t.Context(), id, "stuck", 12, 900_000); err != nil {
		t.Fatal(err)
	}
	stuck := c.accept(t)
	if stuck.group != "stuck" {
		t.Fatalf("group %q", stuck.group)
	}
	if err := errors.Join(c.send(t.Context(), id, "", 1, 100), o.send(t.Context(), other, "", 1, 100)); err != nil {
		t.Fatal(err)
	}
	inbox, theirs := c.accept(t), o.accept(t)
	for n := uint64(1); n <= 50; n++ {
		if err := errors.Join(inbox.read(n), theirs.read(n)); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(c.send(t.Context(), id, "", 1, 100), o.send(t.Context(), other, "", 1, 100)); err != nil {
			t.Fatal(err)
		}
	}
	if err := stuck.read(12); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkPush measures the whole path: sender, disk, push, acknowledgement; an operation is one message of 256 bytes.
func BenchmarkPush(b *testing.B) {
	for _, pairs := range []int{1, 16} {
		b.Run(fmt.Sprint(pairs), func(b *testing.B) {
			s := serve(b, ds.Limits{})
			type pair struct {
				from, to *client
				id       quicrpc.Peer
			}
			all := make([]pair, pairs)
			for i := range all {
				fromCert, _ := identity(b)
				toCert, id := identity(b)
				all[i] = pair{s.dial(b, fromCert), s.dial(b, toCert), id}
				all[i].to.listen(b)
			}
			each := b.N/pairs + 1
			var group [8]byte
			binary.BigEndian.PutUint64(group[:], uint64(b.N))
			b.ResetTimer()
			var wg sync.WaitGroup
			for _, p := range all {
				wg.Go(func() {
					if err := p.from.send(b.Context(), p.id, string(group[:]), each, 256); err != nil {
						b.Error(err)
					}
				})
				wg.Go(func() {
					if err := p.to.accept(b).read(uint64(each)); err != nil {
						b.Error(err)
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}
