package mls

import (
	"fmt"
	"runtime"
	"testing"
)

// The benchmarks of this package are the rows of `make bench-mls`, which runs
// them by name: see internal/bench.

var (
	benchSizes = []int{10, 100, 1000}
	largeSizes = []int{1000, 5000, 10000}
)

// populated groups are dear to make and never changed, so they are shared.
var populatedGroups = make(map[int]*bigGroup)

func populated(tb testing.TB, n int) *bigGroup {
	tb.Helper()
	g := populatedGroups[n]
	if g == nil {
		g = newBigGroup(tb, n).populate(tb)
		g.checkPopulated(tb)
		populatedGroups[n] = g
	}
	return g
}

func each(b *testing.B, sizes []int, f func(b *testing.B, n int)) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) { f(b, n) })
	}
}

// supply returns a function that yields what make makes, many at a time while
// the clock stands still.
func supply[T any](b *testing.B, batch int, make func(i int) T) func() T {
	var ready []T
	return func() T {
		if len(ready) == 0 {
			b.StopTimer()
			for i := range batch {
				ready = append(ready, make(i))
			}
			b.StartTimer()
		}
		v := ready[0]
		ready = ready[1:]
		return v
	}
}

func BenchmarkKeyPackage(b *testing.B) {
	id := mustBench(GenerateBasicIdentity(benchSuite, []byte("alice")))(b)
	b.ReportAllocs()
	for b.Loop() {
		mustBench(NewKeyPackage(id, KeyPackageOptions{}))(b)
	}
}

// BenchmarkCreateAddJoin begins with a KeyPackage, whose making has a row of its
// own, or makes it first.
func BenchmarkCreateAddJoin(b *testing.B) {
	alice := mustBench(GenerateBasicIdentity(benchSuite, []byte("alice")))(b)
	bob := mustBench(GenerateBasicIdentity(benchSuite, []byte("bob")))(b)
	newPackage := func() *KeyPackageBundle { return mustBench(NewKeyPackage(bob, KeyPackageOptions{}))(b) }
	run := func(b *testing.B, next func() *KeyPackageBundle) {
		b.ReportAllocs()
		for b.Loop() {
			k := next()
			g := mustBench(NewGroup([]byte("bench"), alice, GroupOptions{}))(b)
			p := mustBench(Add(k.Public()))(b)
			r := mustBench(g.Commit(CommitOptions{Proposals: []Proposal{p}}))(b)
			if err := g.MergePending(); err != nil {
				b.Fatal(err)
			}
			mustBench(Join(r.Welcome, k, bob, JoinOptions{}))(b)
		}
	}
	b.Run("ready", func(b *testing.B) { run(b, supply(b, 16, func(int) *KeyPackageBundle { return newPackage() })) })
	b.Run("within", func(b *testing.B) { run(b, newPackage) })
}

func benchAddCommit(b *testing.B, g *bigGroup) {
	view := g.as(0)
	_, k := g.newcomer(b)
	raw := k.Public()
	b.ReportAllocs()
	for b.Loop() {
		p := mustBench(Add(raw))(b)
		mustBench(view.Commit(CommitOptions{Proposals: []Proposal{p}}))(b)
		view.DiscardPending()
	}
}

func BenchmarkAddCommitBlankTree(b *testing.B) {
	each(b, benchSizes, func(b *testing.B, n int) { benchAddCommit(b, newBigGroup(b, n)) })
}

func benchJoin(b *testing.B, n int) {
	g := populated(b, n)
	id, k := g.newcomer(b)
	p := mustBench(Add(k.Public()))(b)
	r := mustBench(g.as(0).Commit(CommitOptions{Proposals: []Proposal{p}}))(b)
	b.ReportAllocs()
	for b.Loop() {
		mustBench(Join(r.Welcome, k, id, JoinOptions{}))(b)
	}
}

func BenchmarkJoinPopulatedTree(b *testing.B) { each(b, benchSizes, benchJoin) }

func benchUpdateCreate(b *testing.B, n int) {
	view := populated(b, n).as(0)
	b.ReportAllocs()
	for b.Loop() {
		mustBench(view.Commit(CommitOptions{ForcePath: true}))(b)
		view.DiscardPending()
	}
}

func BenchmarkUpdateCommitCreate(b *testing.B) { each(b, benchSizes, benchUpdateCreate) }

// benchUpdateProcess lets the first member process commits of eight members
// that are spread over the tree: how much of the path it must derive depends on
// where the committer is.
func benchUpdateProcess(b *testing.B, n int) {
	g := populated(b, n)
	const batch = 8
	var commits [batch][]byte
	for i := range commits {
		r := mustBench(g.as(1 + i*(n-2)/(batch-1)).Commit(CommitOptions{ForcePath: true}))(b)
		commits[i] = r.Commit
	}
	type job struct {
		view   *Group
		commit []byte
	}
	next := supply(b, batch, func(i int) job { return job{g.as(0), commits[i]} })
	b.ReportAllocs()
	for b.Loop() {
		j := next()
		mustBench(j.view.Process(j.commit))(b)
	}
}

func BenchmarkUpdateCommitProcess(b *testing.B) { each(b, benchSizes, benchUpdateProcess) }

var messageSizes = []int{256, 64 << 10}

func benchProtect(b *testing.B, g *Group, size int) {
	data := make([]byte, size)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		mustBench(g.Protect(data, nil))(b)
	}
}

func benchUnprotect(b *testing.B, g, sender *Group, size int) {
	data := make([]byte, size)
	next := supply(b, 128, func(int) []byte { return mustBench(sender.Protect(data, nil))(b) })
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		mustBench(g.Process(next()))(b)
	}
}

func BenchmarkProtect(b *testing.B) {
	each(b, messageSizes, func(b *testing.B, size int) { benchProtect(b, newBigGroup(b, 2).as(0), size) })
}

func BenchmarkUnprotect(b *testing.B) {
	each(b, messageSizes, func(b *testing.B, size int) {
		g := newBigGroup(b, 2)
		benchUnprotect(b, g.as(0), g.as(1), size)
	})
}

// BenchmarkMemory reports the heap that one member's state of a populated group
// takes, just joined.
func BenchmarkMemory(b *testing.B) {
	g := populated(b, 1000)
	id, k := g.newcomer(b)
	p := mustBench(Add(k.Public()))(b)
	r := mustBench(g.as(0).Commit(CommitOptions{Proposals: []Proposal{p}}))(b)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var total float64
	for b.Loop() {
		before := heap()
		joined := mustBench(Join(r.Welcome, k, id, JoinOptions{}))(b)
		total += float64(heap()) - float64(before)
		runtime.KeepAlive(joined)
	}
	b.ReportMetric(total/float64(b.N)/1e6, "MB/state")
}

func BenchmarkAdd999(b *testing.B) {
	g := newBigGroup(b, 1)
	var raws [][]byte
	for range 999 {
		_, k := g.newcomer(b)
		raws = append(raws, k.Public())
	}
	b.ReportAllocs()
	for b.Loop() {
		var opts CommitOptions
		for _, raw := range raws {
			opts.Proposals = append(opts.Proposals, mustBench(Add(raw))(b))
		}
		mustBench(g.Commit(opts))(b)
		g.DiscardPending()
	}
}
