package quicrpc

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestHeaderRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := StreamType(rapid.Uint64Max(1<<62-1).Draw(t, "type"))
		got, err := readHeader(bytes.NewReader(appendHeader(nil, typ)))
		if err != nil || got != typ {
			t.Fatalf("%d read as %d, %v", typ, got, err)
		}
	})
}

func TestRefusedHeaders(t *testing.T) {
	log, logged := newLog()
	s := startServer(t, ServerConfig{Logger: log, Limits: Limits{HeaderTimeout: 200 * time.Millisecond}})
	for _, test := range []struct {
		name   string
		header []byte
		fin    bool
		want   StreamErrorCode
	}{
		{"unknown type", []byte{9, 1}, false, StreamErrUnknownType},
		{"the server's own type", []byte{byte(StreamPush), 1}, false, StreamErrUnknownType},
		{"type 0", []byte{0, 1}, false, StreamErrUnknownType},
		{"another version", []byte{1, 2}, false, StreamErrUnsupportedVersion},
		{"no header", nil, true, StreamErrBadHeader},
		{"half a header", []byte{1}, true, StreamErrBadHeader},
		{"half a varint", []byte{0x80, 0}, true, StreamErrBadHeader},
		{"a header that does not come", []byte{1}, false, StreamErrHeaderTimeout},
	} {
		st := rawStream(t, dialRaw(t, s), test.header)
		if test.fin {
			if err := st.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if code := cutCode(t, st); code != test.want {
			t.Errorf("%s: cut with %v, want %v", test.name, code, test.want)
		}
	}
	wantLogged(t, logged, "unknownType", 3)
	wantLogged(t, logged, "unsupportedVersion", 1)
	wantLogged(t, logged, "badHeader", 3)
	wantLogged(t, logged, "headerTimeout", 1)
}

// TestClientRefusesStreams: the client serves PUSH streams only, and goes on after others.
func TestClientRefusesStreams(t *testing.T) {
	h := newTestHandler()
	s := startServer(t, ServerConfig{Handler: h})
	c := dial(t, s, ClientConfig{Limits: Limits{HeaderTimeout: 200 * time.Millisecond}})
	r, _ := bootstrap(t, c)
	if _, err := callEcho(testContext(t), r, nil); err != nil {
		t.Fatal(err)
	}
	sc := <-h.conns
	for header, want := range map[string]StreamErrorCode{"\x01\x01": StreamErrUnknownType, "\x03\x02": StreamErrUnsupportedVersion, "\x03": StreamErrHeaderTimeout} {
		if code := cutCode(t, rawStream(t, sc.q, []byte(header))); code != want {
			t.Errorf("header %x: cut with %v, want %v", header, code, want)
		}
	}
	if _, err := sc.OpenPush(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.AcceptPush(testContext(t)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := c.AcceptPush(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("AcceptPush with a dead context: %v", err)
	}
}
