package main

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// histogram counts durations, in buckets that are at most 1/32 wide. Safe for concurrent use.
type histogram struct{ counts [64 << 5]atomic.Uint64 }

func (h *histogram) add(d time.Duration) {
	ns := uint64(max(d, 0))
	if ns < 32 {
		h.counts[ns].Add(1)
		return
	}
	exp := bits.Len64(ns) - 6
	h.counts[(exp+1)<<5|int(ns>>exp)&31].Add(1)
}

// quantile is the middle of the bucket that holds it, in milliseconds.
func (h *histogram) quantile(q float64) float64 {
	total := uint64(0)
	for i := range h.counts {
		total += h.counts[i].Load()
	}
	left := uint64(q * float64(total))
	for i := range h.counts {
		n := h.counts[i].Load()
		if left < n {
			if i < 32 {
				return float64(i) / 1e6
			}
			exp := i>>5 - 1
			return (float64(uint64(32|i&31)<<exp) + float64(uint64(1)<<exp)/2) / 1e6
		}
		left -= n
	}
	return 0
}
