package load

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

func FuzzDecodeDispatch(f *testing.F) {
	cfg := Defaults()
	var rec recorder
	rec.record(1, Stored, 0, 5_000_000, 3)
	for _, d := range []dispatch{
		{Type: typeChallenge, Protocol: 1, Nonce: make([]byte, nonceSize)}, {Type: typeAnswer, MAC: prove(testToken, nil)}, {Type: typeRun, Config: &cfg}, {Type: typeStart, At: 1},
		{Type: typeSample, Sample: sample{at: 1, hist: rec.take()}.toWire()}, {Type: typeStopped, Stored: toWire(map[string]digest{"\xff": {1, 2, 3}})}, {Type: typePart, Part: &part{Sent: 1}}, {Type: typeFailed, Error: "x"},
	} {
		b, err := json.Marshal(d)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"type":"sample","sample":{"at":-1}}`))
	f.Add([]byte(`{"type":"sample","sample":{"bars":[[[-1,1]]]}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		d, err := decodeDispatch(line)
		if err != nil {
			if !errors.Is(err, errProtocol) {
				t.Error(err)
			}
			return
		}
		if d.Sample != nil && d.Type == typeSample {
			s := d.Sample.sample()
			for i, h := range s.hist {
				n := int64(0)
				for _, b := range d.Sample.Bars[i] {
					n += b[1]
				}
				if h != nil && h.TotalCount() != n {
					t.Errorf("%d latencies of %d", h.TotalCount(), n)
				}
			}
		}
		b, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeDispatch(b)
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if c, err := json.Marshal(again); err != nil || !bytes.Equal(b, c) {
			t.Errorf("%s became %s: %v", b, c, err)
		}
	})
}

func TestSampleTravels(t *testing.T) {
	var rec recorder
	for us := int64(1); us < highest; us = us*3/2 + 1 {
		rec.record(int(us), Received, 0, us*1000, us%7+1)
	}
	s := sample{at: 42, counts: [4]uint64{1, 2, 3, 4}, hist: rec.take()}
	b, err := json.Marshal(dispatch{Type: typeSample, Sample: s.toWire()})
	if err != nil {
		t.Fatal(err)
	}
	d, err := decodeDispatch(b)
	if err != nil {
		t.Fatal(err)
	}
	got := d.Sample.sample()
	if got.at != s.at || got.counts != s.counts || !reflect.DeepEqual(got.hist[Received].Distribution(), s.hist[Received].Distribution()) || got.hist[Stored] != nil {
		t.Errorf("%+v became %+v", s, got)
	}
}

func TestReceiveLimits(t *testing.T) {
	line := `{"type":"failed","error":"` + strings.Repeat("x", 200_000) + "\"}\n"
	pipe := func() *talk { return newTalk(struct{ io.ReadWriter }{bytes.NewBufferString(line)}) }
	if _, err := pipe().receive(len(line) - 1); !errors.Is(err, errProtocol) {
		t.Error(err)
	}
	if d, err := pipe().receive(len(line)); err != nil || len(d.Error) != 200_000 {
		t.Error(len(d.Error), err)
	}
}
