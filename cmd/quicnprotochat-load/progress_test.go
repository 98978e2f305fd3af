package main

import (
	"bytes"
	"strings"
	"testing"

	"quicnprotochat/load"
)

func TestSparkline(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   string
	}{{nil, ""}, {[]float64{0, 0}, "▁▁"}, {[]float64{0, 4, 8}, "▁▅█"}, {[]float64{-1, 1}, "▁█"}} {
		if got := sparkline(c.values); got != c.want {
			t.Errorf("%v: %q, want %q", c.values, got, c.want)
		}
	}
}

func TestProgress(t *testing.T) {
	var out bytes.Buffer
	p := &progress{out: &out}
	p.show(load.Interval{T: 1, Seconds: 1, Phase: "measured"})
	p.end()
	if got := out.String(); strings.Count(got, "\n") != 1 || strings.ContainsAny(got, "\r\x1b") {
		t.Errorf("not a terminal: %q", got)
	}
	out.Reset()
	p = &progress{out: &out, terminal: true}
	for range 2 * sparks {
		p.show(load.Interval{T: 1, Seconds: 1, Delivered: 5})
	}
	p.end()
	if got := out.String(); strings.Count(got, "\n") != 1 || strings.Count(got, "\r") != 2*sparks || len(p.rates) != sparks {
		t.Errorf("terminal: %q", got)
	}
}
