package main

import (
	"math"
	"testing"
	"time"
)

func TestHistogram(t *testing.T) {
	var h histogram
	for i := range 100_000 {
		h.add(time.Duration(i+1) * time.Microsecond)
	}
	for _, q := range []float64{0.001, 0.01, 0.5, 0.99, 0.999} {
		if got, want := h.quantile(q), q*100; math.Abs(got-want) > want/32 {
			t.Errorf("quantile %v: %v ms, want %v", q, got, want)
		}
	}
	var small histogram
	small.add(7)
	small.add(-1)
	if got := small.quantile(0.9); got != 7e-6 {
		t.Errorf("7 ns are %v ms", got)
	}
}
