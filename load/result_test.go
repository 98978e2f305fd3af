package load

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
)

func TestStamp(t *testing.T) {
	s := stamp{sender: math.MaxUint32, number: math.MaxUint64, intended: math.MinInt64}
	b := make([]byte, stampSize+3)
	s.put(b)
	if got, ok := readStamp(b); !ok || got != s {
		t.Error(got, ok)
	}
	if _, ok := readStamp(b[:stampSize-1]); ok {
		t.Error("half a stamp")
	}
	b[0] ^= 1
	if _, ok := readStamp(b); ok {
		t.Error("a stamp with another begin")
	}
}

func TestHeat(t *testing.T) {
	h := newHistogram()
	for _, us := range []int64{1, 2, 3, 4, 1000, 1023} {
		if err := h.RecordValue(us); err != nil {
			t.Fatal(err)
		}
	}
	want := map[int]int64{1: 1, 2: 2, 3: 1, 10: 2} // from 2^(i-1) to 2^i
	got := heat(h)
	total := int64(0)
	for i, n := range got {
		if n != want[i] {
			t.Errorf("%d of up to 2^%d us, want %d", n, i, want[i])
		}
		total += n
	}
	if total != 6 || len(heat(newHistogram())) != 0 {
		t.Error(got)
	}
}

func TestRecorder(t *testing.T) {
	var rec recorder
	for who := range 3 * shards {
		rec.record(who, Stored, 0, 7_000, 2)
		rec.record(who, Received, 0, -5, 1)                 // a clock that was set back
		rec.record(who, Acked, 0, int64(highest)*1000*9, 1) // beyond what is told apart
	}
	h := rec.take()
	if n := h[Stored].TotalCount(); n != 6*shards || h[Stored].Min() != 7 || h[Received].Max() != lowest || h[Acked].Max() < highest || h[Late] != nil {
		t.Error(n, h[Stored].Min(), h[Received].Max(), h[Acked].Max())
	}
	if again := rec.take(); again[Stored] != nil {
		t.Error("taken twice")
	}
	s := summarize(h[Stored], true)
	if s.Count != 6*shards || s.P50 != 0.007 || s.Max != 0.007 || len(s.Curve) == 0 {
		t.Errorf("%+v", s)
	}
	back, err := hdrhistogram.Decode([]byte(s.Histogram))
	if err != nil || back.TotalCount() != s.Count || back.Max() != 7 {
		t.Errorf("the encoding for other programs: %v", err)
	}
}

func TestAggregate(t *testing.T) {
	cfg := Defaults()
	cfg.Workers, cfg.Warmup, cfg.Duration = 2, 1e9, 1e9
	var shown []Interval
	a := newAggregate(&cfg, &server{}, Received, func(iv Interval) { shown = append(shown, iv) })
	of := func(seconds float64, n uint64) sample {
		var rec recorder
		rec.record(0, Received, 0, 1_000_000, int64(n))
		return sample{at: int64(seconds * 1e9), counts: [4]uint64{n, n, n, 0}, hist: rec.take()}
	}
	a.add(0, of(1, 1))
	a.add(0, of(2, 2))
	if len(shown) != 0 {
		t.Fatal("an interval of which one worker has told nothing")
	}
	a.add(1, of(1, 10))
	a.add(1, of(2, 20))
	a.add(1, of(2.5, 5))
	a.finish()
	if len(shown) != 3 || shown[0].Sent != 11 || shown[1].Sent != 22 || shown[2].Sent != 5 || shown[0].Phase != "warmup" || shown[1].Phase != "measured" || shown[2].Phase != "drain" {
		t.Errorf("%+v", shown)
	}
	if shown[2].Seconds != 0.5 || a.total[Received].TotalCount() != 38 || len(shown[0].Heat) == 0 {
		t.Errorf("%+v", shown)
	}
}

func TestText(t *testing.T) {
	r := &Result{
		Seconds: 2, Sent: 10, Stored: 9, Delivered: 8, Refused: 1, Redelivered: 2, Refusals: map[string]uint64{"full": 1}, Values: map[string]float64{"a figure": 1.5}, OpsPS: 3,
		Stages: map[string]Summary{"received": {Count: 8, P99: 1.25}}, Cost: Cost{OK: true, Flushes: 4, Disk: 1 << 21}, CPUMicros: 7, Violations: 1, Told: []string{"lost: x"}, Aborted: "why",
	}
	r.Config.Scenario = "relay"
	for _, want := range []string{"relay: 10 sent, 9 stored, 8 delivered, 1 refused, 2 came again\n", "done 3/s", "received", "1.250", "7.00 us of CPU each", "2 flushes/s", "2 MiB taken", "a figure: 1.5\n", "refused, full: 1\n", "NOT CORRECT: 1 violations\n", "NOT FINISHED: why\n"} {
		if !strings.Contains(r.Text(), want) {
			t.Errorf("%q is not in\n%s", want, r.Text())
		}
	}
	if err := r.verdict(); !errors.Is(err, ErrViolation) || !strings.Contains(err.Error(), "lost: x") || r.OK() {
		t.Error(err)
	}
	iv := Interval{T: 1, Seconds: 0.5, Phase: "measured", Stored: 5, Delivered: 4, Ops: 3, Stages: map[string]Summary{"received": {P50: 1, P99: 2}}, CPU: 0.25, RSS: 3 << 20}
	if got, want := iv.Line(), "   1.0s measured stored       10/s  delivered        8/s  done        6/s  received p50 1.00 p99 2.00 ms  daemon 0.25 cores 3 MiB"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestReadResult(t *testing.T) {
	dir := t.TempDir()
	for text, ok := range map[string]bool{
		"": false, "x": false, `{"type":"interval"}`: false, `{"type":"interval"}` + "\n" + `{"type":"result","sent":1}` + "\n": true,
		`{"type":"result","sent":5}{"type":"result","sent":1}`: true,
	} {
		name := filepath.Join(dir, "r.json")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if r, err := ReadResult(name); (err == nil) != ok || ok && r.Sent != 1 {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := ReadResult(filepath.Join(dir, "none")); err == nil {
		t.Error("no file")
	}
}
