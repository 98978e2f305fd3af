package main

import (
	"github.com/spf13/pflag"

	"quicnprotochat/load"
)

// searchFlags say whether to search for a rate, and for which.
type searchFlags struct {
	on    bool
	bound load.Bound
}

func (s *searchFlags) add(f *pflag.FlagSet) {
	s.bound = load.DefaultBound()
	f.BoolVar(&s.on, "rate-search", false, "find the highest open-loop rate that keeps --bound; begins at --rate")
	f.Float64Var(&s.bound.Highest, "max-rate", s.bound.Highest, "with --rate-search: the highest rate to try")
	f.DurationVar(&s.bound.Limit, "bound", s.bound.Limit, "with --rate-search: what the 99th percentile may be")
	f.StringVar(&s.bound.Stage, "bound-stage", s.bound.Stage, "with --rate-search: the `stage` whose percentile that is")
	f.DurationVar(&s.bound.Duration, "search-duration", s.bound.Duration, "with --rate-search: measured time of each step")
}

// from is the bound of a search that begins at --rate, where one is given: also at one that is to be refused.
func (s *searchFlags) from(rate float64) load.Bound {
	b := s.bound
	if rate != 0 {
		b.Start = rate
	}
	return b
}
