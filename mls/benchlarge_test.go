package mls

import (
	"testing"
	"time"
)

// BenchmarkLarge are the operations whose cost could grow with the group.
func BenchmarkLarge(b *testing.B) {
	for _, op := range []struct {
		name string
		run  func(b *testing.B, n int)
	}{
		{"add", func(b *testing.B, n int) { benchAddCommit(b, populated(b, n)) }},
		{"join", benchJoin},
		{"create", benchUpdateCreate},
		{"process", benchUpdateProcess},
		{"protect", func(b *testing.B, n int) { benchProtect(b, populated(b, n).as(0), 256) }},
		{"unprotect", func(b *testing.B, n int) {
			g := populated(b, n)
			benchUnprotect(b, g.as(0), g.as(n-1), 256)
		}},
		{"load", benchLoad},
	} {
		b.Run(op.name, func(b *testing.B) { each(b, largeSizes, op.run) })
	}
}

func benchLoad(b *testing.B, n int) {
	g := populated(b, n).as(0)
	records := g.Snapshot()
	b.ReportAllocs()
	for b.Loop() {
		mustBench(LoadGroup(records, g.id, Policy{}))(b)
	}
}

// saveCost runs change and what must be stored after it, and reports the time
// of the latter alone and how much is stored. It counts that time itself: the
// clock of b runs on, so that dear changes do not make a run last for minutes.
func saveCost(b *testing.B, next func() *Group, change func(*Group)) {
	bytes, records := 0, 0
	var took time.Duration
	for b.Loop() {
		g := next()
		change(g)
		start := time.Now()
		changes := g.Changes()
		g.Saved()
		took += time.Since(start)
		for _, r := range changes {
			bytes += len(r.Key) + len(r.Value)
		}
		records += len(changes)
	}
	b.ReportMetric(float64(took)/float64(b.N), "ns/op")
	b.ReportMetric(float64(bytes)/float64(b.N), "saved-B/op")
	b.ReportMetric(float64(records)/float64(b.N), "records/op")
}

// BenchmarkSave measures Changes and Saved alone, after one's own message, after
// another's, and after another's commit.
func BenchmarkSave(b *testing.B) {
	saved := func(g *Group) *Group {
		g.Saved() // as if all was stored
		return g
	}
	sizes := []int{10, 1000, 10000}
	b.Run("sent", func(b *testing.B) {
		each(b, sizes, func(b *testing.B, n int) {
			g := saved(populated(b, n).as(0))
			mustBench(g.Protect(nil, nil))(b) // opens the way to the own leaf, once an epoch
			saved(g)
			saveCost(b, func() *Group { return g }, func(g *Group) { mustBench(g.Protect([]byte("hello"), nil))(b) })
		})
	})
	b.Run("received", func(b *testing.B) {
		each(b, sizes, func(b *testing.B, n int) {
			g, other := saved(populated(b, n).as(0)), populated(b, n).as(n-1)
			mustBench(g.Process(mustBench(other.Protect(nil, nil))(b)))(b)
			saved(g)
			saveCost(b, func() *Group { return g }, func(g *Group) {
				mustBench(g.Process(mustBench(other.Protect([]byte("hello"), nil))(b)))(b)
			})
		})
	})
	b.Run("commit", func(b *testing.B) {
		each(b, sizes, func(b *testing.B, n int) {
			big := populated(b, n)
			r := mustBench(big.as(n - 1).Commit(CommitOptions{ForcePath: true}))(b)
			saveCost(b, func() *Group { return saved(big.as(0)) }, func(g *Group) { mustBench(g.Process(r.Commit))(b) })
		})
	})
}
