package sim

import (
	"flag"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

var (
	oneSeed = flag.Int64("seed", -1, "run this seed alone")
	seeds   = flag.Int("seeds", 20, "number of seeds to run")
	many    = flag.Int("people", 0, "people in each history; 0: 3 to 12")
)

// TestSim: whatever breaks, what was promised is there, once, in one order, for members and nobody else.
func TestSim(t *testing.T) {
	first, last := int64(0), int64(*seeds)
	if *oneSeed >= 0 {
		first, last = *oneSeed, *oneSeed+1
	}
	for seed := first; seed < last && !t.Failed(); seed++ {
		synctest.Test(t, func(t *testing.T) {
			w := &world{t: t, seed: uint64(seed), r: rand.New(rand.NewPCG(uint64(seed), 7))}
			people := *many
			if people == 0 {
				people = 3 + w.rand(10)
			}
			w.run(people, 1+people/4, 2*time.Minute)
			n := 0
			for _, r := range w.groups {
				n += len(r.got[r.founder])
			}
			for _, b := range w.boxes {
				n += len(b.got)
			}
			t.Logf("seed %d: %d people, %d groups, %d crashes, %d of them in a sync, %d ends in good order, %d messages, %d frames", seed, people, len(w.groups),
				w.crashes, w.atSync, w.ends, n, w.frames.Load())
		})
	}
}
