package load

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"testing/iotest"
)

func framed(payloads ...string) (b []byte) {
	for _, p := range payloads {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(p))), p...)
	}
	return b
}

// TestNextFrames: whole messages come together, a part of one waits for the rest, and what does not fit is an error.
func TestNextFrames(t *testing.T) {
	all := framed("a", "", "ccc")
	for name, from := range map[string]io.Reader{"at once": bytes.NewReader(all), "byte by byte": iotest.OneByteReader(bytes.NewReader(all))} {
		br := bufio.NewReaderSize(from, 64)
		var got []string
		calls := 0
		for {
			count, frames, err := nextFrames(br, func(p []byte) { got = append(got, string(p)) })
			if err == io.EOF {
				break
			}
			if err != nil || count == 0 {
				t.Fatalf("%s: %d messages, %v", name, count, err)
			}
			if _, err := br.Discard(len(frames)); err != nil {
				t.Fatal(err)
			}
			calls++
		}
		if len(got) != 3 || got[0] != "a" || got[1] != "" || got[2] != "ccc" || name == "at once" && calls != 1 {
			t.Errorf("%s: %q in %d parts", name, got, calls)
		}
	}
	for name, text := range map[string][]byte{"cut in the length": all[:2], "cut in the message": all[:len(all)-1], "too large": framed(string(make([]byte, 100)))} {
		br := bufio.NewReaderSize(bytes.NewReader(text), 64)
		var err error
		for n := 0; err == nil && n < 10; n++ {
			var frames []byte
			if _, frames, err = nextFrames(br, nil); err == nil {
				_, err = br.Discard(len(frames))
			}
		}
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestBareSender: calls are answered when all their messages were passed on, and fail with the stream.
func TestBareSender(t *testing.T) {
	here, there := net.Pipe()
	b := &bareSender{stream: io.Discard}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.read(here)
	}()
	var waits []func() ([]outcome, error)
	for _, n := range []int{2, 1, 3} {
		wait, err := b.send(t.Context(), make([]message, n))
		if err != nil {
			t.Fatal(err)
		}
		waits = append(waits, wait)
	}
	for _, count := range []uint32{1, 2} {
		if _, err := there.Write(binary.BigEndian.AppendUint32(nil, count)); err != nil {
			t.Fatal(err)
		}
	}
	for i, first := range []uint64{1, 3} {
		if out, err := waits[i](); err != nil || out[0] != storedAt(first) {
			t.Errorf("call %d: %v, %v", i, out, err)
		}
	}
	_ = there.Close()
	<-ended
	if _, err := waits[2](); !errors.Is(err, io.EOF) {
		t.Errorf("a call that was not answered: %v", err)
	}
	wait, err := b.send(t.Context(), make([]message, 1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wait(); !errors.Is(err, io.EOF) {
		t.Errorf("a call behind the end: %v", err)
	}
}
