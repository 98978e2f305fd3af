package idset

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// BenchmarkFind looks up new ids among runs as a store has them that stored 200,000 messages a second for 1, 5 and 10 minutes.
func BenchmarkFind(b *testing.B) {
	for _, c := range []struct{ small, middle, large int }{{11, 5, 0}, {11, 11, 2}} {
		s, err := Open(Options{FS: vfs.Default, Dir: b.TempDir(), Room: 256 << 20, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		s.Complete()
		segment := uint64(0)
		for _, k := range []struct{ n, each int }{{c.large, 24_000_000}, {c.middle, 2_000_000}, {c.small, 165_000}} {
			for range k.n {
				segment++
				if err := s.Add(1, segment, k.each, spread(segment, k.each)); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.Run(fmt.Sprintf("%dM", s.Stats().Entries/1e6), func(b *testing.B) {
			b.RunParallel(func(p *testing.PB) {
				r := rand.New(rand.NewPCG(rand.Uint64(), 1))
				for p.Next() {
					var e ID
					fill(&e, r)
					if !s.MayHold(&e, 0, 9) {
						continue
					}
					if seq, err := s.Find(&e, 0, 9); seq != 0 || err != nil {
						b.Error(seq, err)
					}
				}
			})
			b.ReportMetric(float64(s.Stats().Runs), "runs")
		})
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func fill(id *ID, r *rand.Rand) {
	for i := 0; i < len(id); i += 8 {
		v := r.Uint64()
		for j := range 8 {
			id[i+j] = byte(v >> (8 * j))
		}
	}
}

// spread are n ids in order, one in each of n equal parts.
func spread(seed uint64, n int) func(func(Entry) bool) {
	return func(yield func(Entry) bool) {
		r := rand.New(rand.NewPCG(seed, 1))
		step := ^uint64(0) / uint64(n)
		for i := range uint64(n) {
			var e Entry
			fill(&e.ID, r)
			v := i*step + r.Uint64N(step)
			for j := range 8 {
				e.ID[7-j] = byte(v >> (8 * j))
			}
			e.Seq = i + 1
			if !yield(e) {
				return
			}
		}
	}
}
