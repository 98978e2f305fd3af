package main

import (
	"context"
	"errors"
	"math"
	"testing"

	"quicnprotochat/load"
)

// TestSearchFrom: a search begins at the rate that is given, and not elsewhere because that one is none.
func TestSearchFrom(t *testing.T) {
	s := searchFlags{bound: load.DefaultBound()}
	if got := s.from(0).Start; got != load.DefaultBound().Start {
		t.Error(got)
	}
	if got := s.from(7).Start; got != 7 {
		t.Error(got)
	}
	cfg := load.DefaultsFor("relay")
	cfg.Addr = "127.0.0.1:1"
	for _, rate := range []float64{math.NaN(), -1, math.Inf(1)} {
		if _, err := load.SearchRate(context.Background(), cfg, load.Team{}, "test", s.from(rate), nil); !errors.Is(err, load.ErrConfig) {
			t.Errorf("%v: %v", rate, err)
		}
	}
}
