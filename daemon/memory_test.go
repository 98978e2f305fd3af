package daemon

import "testing"

func TestTidier(t *testing.T) {
	var tidy tidier
	for i, step := range []struct {
		allocated, heap uint64
		want            bool
	}{
		{10, 1000, false},     // nothing ever happened
		{1000, 1000, false},   // a storm
		{3000, 2000, false},   // it goes on
		{3100, 2000, true},    // rest
		{3200, 1000, false},   // it was given back already
		{3400, 1000, false},   // some more
		{3500, 1000, true},    // rest again
		{3500, 1000, false},   // nothing at all
		{10000, 1000, false},  // a storm
		{10126, 1000, false},  // just more than an eighth
		{10251, 1000, true},   // an eighth
		{10251, 0, false},     // an empty heap
		{10252, 0, false},     // of which anything is much
		{10252, 1000, true},   // and rest
		{10252, 1000, false},  // the end
		{20000, 80000, false}, // under an eighth of a large heap
	} {
		if got := tidy.look(step.allocated, step.heap); got != step.want {
			t.Fatalf("step %d: %v", i, got)
		}
	}
}
