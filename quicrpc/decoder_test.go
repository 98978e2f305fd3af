package quicrpc

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"testing"

	"capnproto.org/go/capnp/v3"
	"pgregory.net/rapid"
)

func decodeAll(in []byte, limit int) (msgs []*capnp.Message, err error) {
	d := &decoder{r: bufio.NewReader(bytes.NewReader(in)), maxBytes: limit}
	for {
		m, _, err := d.next()
		if err != nil {
			return msgs, err
		}
		msgs = append(msgs, m)
	}
}

// TestFraming: whatever messages are written are read again, and a stream that is cut anywhere inside one says so.
func TestFraming(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var sent [][][]byte
		var out []byte
		for range rapid.IntRange(1, 4).Draw(t, "messages") {
			var segs [][]byte
			for range rapid.SampledFrom([]int{1, 1, 2, 3, 8}).Draw(t, "segments") {
				words := rapid.SliceOfN(rapid.Byte(), 8, 64).Draw(t, "segment")
				segs = append(segs, words[:len(words)&^7])
			}
			if _, err := writeMessage(func(p []byte) error { out = append(out, p...); return nil }, &capnp.Message{Arena: capnp.MultiSegment(segs)}, 1<<20); err != nil {
				t.Fatal(err)
			}
			sent = append(sent, segs)
		}
		got, err := decodeAll(out, 1<<20)
		if err != io.EOF || len(got) != len(sent) {
			t.Fatalf("%d of %d messages, %v", len(got), len(sent), err)
		}
		for i, m := range got {
			for j, want := range sent[i] {
				if s, err := m.Segment(capnp.SegmentID(j)); err != nil || !bytes.Equal(s.Data(), want) {
					t.Fatalf("message %d, segment %d: %v", i, j, err)
				}
			}
			if int(m.NumSegments()) != len(sent[i]) {
				t.Fatalf("%d segments", m.NumSegments())
			}
		}
		cut := rapid.IntRange(1, len(out)-1).Draw(t, "cut")
		got, err = decodeAll(out[:cut], 1<<20)
		whole := 0
		for range got {
			whole++
		}
		if ended := err == io.EOF; whole >= len(sent) || !ended && !errors.Is(err, io.ErrUnexpectedEOF) || !ended && !errors.Is(err, StreamErrProtocol) {
			t.Fatalf("cut at %d of %d: %d messages, %v", cut, len(out), whole, err)
		}
	})
}

func TestDecoderLimits(t *testing.T) {
	const limit = 1 << 20
	table := func(words ...uint32) []byte {
		b := binary.LittleEndian.AppendUint32(nil, uint32(len(words)-1))
		for _, w := range words {
			b = binary.LittleEndian.AppendUint32(b, w)
		}
		return append(b, make([]byte, len(b)%8)...)
	}
	for name, test := range map[string]struct {
		in   []byte
		want error
	}{
		"64 MiB":                {table(8 << 20), StreamErrTooLarge},
		"one word too many":     {table(limit / 8), StreamErrTooLarge},
		"sizes that overflow":   {table(1<<32-1, 1<<32-1, 1<<32-1), StreamErrTooLarge},
		"together too large":    {table(1<<16, 1<<16, 1<<16), StreamErrTooLarge},
		"513 segments":          {binary.LittleEndian.AppendUint32(nil, 512), StreamErrProtocol},
		"4,294,967,296 of them": {append(bytes.Repeat([]byte{0xff}, 4), 0, 0, 0, 0), StreamErrProtocol},
		"nothing":               {table(0), StreamErrProtocol},
		"nothing in three":      {table(0, 0, 0), StreamErrProtocol},
		"half a header":         {table(1)[:5], StreamErrProtocol},
		"a table cut short":     {table(1, 1, 1)[:12], StreamErrProtocol},
	} {
		if len(test.in) == 4 {
			test.in = append(test.in, 0, 0, 0, 0)
		}
		if _, err := decodeAll(test.in, limit); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

// TestDecoderAllocates only as bytes arrive.
func TestDecoderAllocates(t *testing.T) {
	const limit, rounds = 64 << 20, 32
	in := append(wire(bootstrapMsg(0))[:0:0], 0, 0, 0, 0, 0, 0, 0x7f, 0) // promises almost 64 MiB
	in = append(in, make([]byte, 20<<10)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range rounds {
		if _, err := decodeAll(in, limit); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / rounds; each > 128<<10 {
		t.Errorf("%d bytes allocated for 20 KiB that came", each)
	}
}
