package integration

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	capnp "capnproto.org/go/capnp/v3"
	rpccp "capnproto.org/go/capnp/v3/std/capnp/rpc"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"

	"quicnprotochat/certs"
	"quicnprotochat/client"
	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
)

// memoryBound is what the daemon may use at most while it is abused, bytes; idle it has some 40 MiB.
const memoryBound = 400 << 20

// rawDial connects with nothing of ours but the certificate: what a hostile client does from there is its own affair.
func rawDial(t *testing.T, addr string) *quic.Conn {
	t.Helper()
	cert, err := certs.ClientCertificate(newPerson(t).key)
	if err != nil {
		t.Fatal(err)
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}, InsecureSkipVerify: true, NextProtos: []string{quicrpc.ALPN}}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, err := quic.DialAddr(ctx, addr, conf, &quic.Config{MaxIdleTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseWithError(0, "") })
	return conn
}

// rawStream opens a stream of type t and writes data behind its header.
func rawStream(ctx context.Context, conn *quic.Conn, st quicrpc.StreamType, data []byte) (*quic.Stream, error) {
	s, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	head := quicvarint.Append(quicvarint.Append(nil, uint64(st)), quicrpc.StreamVersion)
	_, err = s.Write(append(head, data...))
	return s, err
}

// encodeRPC returns one message of Cap'n Proto's RPC protocol, framed.
func encodeRPC(t *testing.T, build func(m rpccp.Message) error) []byte {
	t.Helper()
	msg, seg, err := capnp.NewMessage(capnp.SingleSegment(nil))
	if err != nil {
		t.Fatal(err)
	}
	m, err := rpccp.NewRootMessage(seg)
	if err == nil {
		err = build(m)
	}
	if err != nil {
		t.Fatal(err)
	}
	data, err := msg.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// selfReferringCall is the message that kills a naive server: Bootstrap, then a Call whose target is the promised answer of the very same Call.
func selfReferringCall(t *testing.T) []byte {
	t.Helper()
	boot := encodeRPC(t, func(m rpccp.Message) error {
		b, err := m.NewBootstrap()
		b.SetQuestionId(0)
		return err
	})
	call := encodeRPC(t, func(m rpccp.Message) error {
		c, err := m.NewCall()
		if err != nil {
			return err
		}
		c.SetQuestionId(7)
		target, err := c.NewTarget()
		if err != nil {
			return err
		}
		answer, err := target.NewPromisedAnswer()
		answer.SetQuestionId(7)
		return err
	})
	return append(boot, call...)
}

// TestHostileClients: what protocol.md warns of, against the real daemon. Others are served meanwhile, memory stays bounded, and the log says
// why each was cut off.
func TestHostileClients(t *testing.T) {
	d := startDaemon(t, t.TempDir(), "127.0.0.1:0")
	alice := newPerson(t)
	friend := dial(t, d.addr, alice)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	served := func(when string) {
		t.Helper()
		start := time.Now()
		_, err := friend.Submit(ctx, []client.Submission{{ID: client.MessageID{1}, Group: when, Payload: []byte("x"), Recipients: []certs.Identity{alice.id}}})
		if err != nil {
			t.Fatalf("%s: others are not served: %v\n%s", when, err, d.logText())
		}
		t.Logf("%-28s another client's call took %v, peak memory %d MiB", when, time.Since(start).Round(time.Microsecond), d.peakMemory()>>20)
	}
	served("idle")

	for _, st := range []quicrpc.StreamType{quicrpc.StreamAS, quicrpc.StreamDS} {
		s, err := rawStream(ctx, rawDial(t, d.addr), st, selfReferringCall(t))
		if err != nil {
			t.Fatal(err)
		}
		awaitCut(t, s)
	}
	served("self-referring call")

	promises := rawDial(t, d.addr)
	for range 20 {
		head := make([]byte, 8) // one segment of 64 MiB, in words
		binary.LittleEndian.PutUint32(head[4:], 64<<20/8)
		s, err := rawStream(ctx, promises, quicrpc.StreamDS, head)
		if err != nil {
			break // the budget of streams has ended the connection
		}
		defer s.CancelRead(0)
	}
	served("20 promises of 64 MiB")

	silentStreams(t, ctx, d.addr)
	served("10,000 silent streams")

	neverReads(t, ctx, d.addr)
	served("a peer that never reads")

	if peak := d.peakMemory(); peak > memoryBound {
		t.Errorf("peak memory %d MiB, bound %d MiB", peak>>20, memoryBound>>20)
	}
	if err := d.terminate(); err != nil {
		t.Errorf("daemon ended: %v", err)
	}
	for _, reason := range []string{"protocol", "tooLarge", "headerTimeout"} {
		if !strings.Contains(d.logText(), reason) {
			t.Errorf("the log does not say %q", reason)
		}
	}
	if t.Failed() {
		t.Log(d.logText())
	}
}

// awaitCut reads until the server has cut the stream or the connection.
func awaitCut(t *testing.T, s *quic.Stream) {
	t.Helper()
	buf := make([]byte, 1024)
	for {
		if _, err := s.Read(buf); err != nil {
			var se *quic.StreamError
			var ae *quic.ApplicationError
			if !errors.As(err, &se) && !errors.As(err, &ae) {
				t.Errorf("cut without a code: %v", err)
			}
			return
		}
	}
}

// silentStreams opens 10,000 streams one after another, as many at a time as the server lets it, and writes one byte of a header of two.
func silentStreams(t *testing.T, ctx context.Context, addr string) {
	t.Helper()
	conn := rawDial(t, addr)
	ctx, cancel := context.WithTimeout(ctx, 12*time.Second)
	defer cancel()
	opened := 0
	for ; opened < 10_000; opened++ {
		s, err := conn.OpenStreamSync(ctx)
		if err != nil {
			break
		}
		if _, err := s.Write([]byte{byte(quicrpc.StreamDS)}); err != nil {
			break
		}
	}
	t.Logf("%d of 10,000 silent streams could be opened in 12 s", opened)
}

// neverReads asks one question after another and reads no answer.
func neverReads(t *testing.T, ctx context.Context, addr string) {
	t.Helper()
	s, err := rawStream(ctx, rawDial(t, addr), quicrpc.StreamAS, encodeRPC(t, func(m rpccp.Message) error {
		b, err := m.NewBootstrap()
		b.SetQuestionId(0)
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
	_ = s.SetWriteDeadline(time.Now().Add(time.Minute))
	for i := range 300_000 {
		call := encodeRPC(t, func(m rpccp.Message) error {
			c, err := m.NewCall()
			if err != nil {
				return err
			}
			c.SetQuestionId(uint32(i + 1))
			c.SetInterfaceId(schemas.AuthenticationService_TypeID)
			c.SetMethodId(4) // serverInfo
			target, err := c.NewTarget()
			if err != nil {
				return err
			}
			answer, err := target.NewPromisedAnswer()
			if err != nil {
				return err
			}
			answer.SetQuestionId(0)
			params, err := c.NewParams()
			if err != nil {
				return err
			}
			empty, err := capnp.NewStruct(params.Segment(), capnp.ObjectSize{})
			if err != nil {
				return err
			}
			return params.SetContent(empty.ToPtr())
		})
		if _, err := s.Write(call); err != nil {
			var se *quic.StreamError
			if !errors.As(err, &se) {
				t.Errorf("cut off without a code: %v", err)
			}
			t.Logf("cut off after %d calls: %v", i, err)
			return
		}
	}
	t.Errorf("300,000 calls without reading were all taken")
}
