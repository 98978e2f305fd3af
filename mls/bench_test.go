package mls

import (
	"fmt"
	"runtime"
	"testing"

	"quicnprotochat/mls/internal/ratchet"
	"quicnprotochat/mls/internal/schedule"
	"quicnprotochat/mls/internal/suite"
	"quicnprotochat/mls/internal/wire"
)

const benchSuite = X25519_AES128GCM_SHA256_Ed25519

// bigGroup is a group of n members as its first one sees it, with the keys of
// all others.
type bigGroup struct {
	*Group
	ids     []*Identity
	bundles []*KeyPackageBundle
}

func (b *bigGroup) newcomer(tb testing.TB) (*Identity, *KeyPackageBundle) {
	id, err := GenerateBasicIdentity(benchSuite, fmt.Append(nil, "member ", len(b.ids)))
	if err != nil {
		tb.Fatal(err)
	}
	k, err := NewKeyPackage(id, KeyPackageOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	return id, k
}

// newBigGroup adds n-1 members in one commit, which leaves the tree blank.
func newBigGroup(tb testing.TB, n int) *bigGroup {
	tb.Helper()
	b := &bigGroup{}
	id, k := b.newcomer(tb)
	g, err := NewGroup([]byte("bench"), id, GroupOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	b.Group, b.ids, b.bundles = g, append(b.ids, id), append(b.bundles, k)
	var opts CommitOptions
	for len(b.ids) < n {
		id, k := b.newcomer(tb)
		b.ids, b.bundles = append(b.ids, id), append(b.bundles, k)
		opts.Proposals = append(opts.Proposals, Proposal{&wire.Proposal{Type: wire.ProposalAdd, Add: k.pkg}})
	}
	if _, err := g.Commit(opts); err != nil {
		tb.Fatal(err)
	}
	if err := g.MergePending(); err != nil {
		tb.Fatal(err)
	}
	return b
}

// as returns the group in the current epoch as another member sees it, without
// the keys of its path.
func (b *bigGroup) as(i int) *Group {
	e := *b.cur
	e.private = &ratchet.Private{Self: ratchet.Leaf(i), Leaf: b.bundles[i].leaf, Path: make(map[ratchet.Node]*suite.PrivateKey)}
	encryption := append([]byte(nil), b.cur.messages.Root()...)
	e.messages = schedule.NewSecretTree(b.suite, e.tree.Leaves(), encryption, b.policy.limits())
	return newGroup(b.ids[i], b.policy, &e)
}

// populate lets every second member commit a path, so that no node is blank.
func (b *bigGroup) populate(tb testing.TB) *bigGroup {
	tb.Helper()
	for i := 1; i < len(b.ids); i += 2 {
		g := b.as(i)
		r, err := g.Commit(CommitOptions{ForcePath: true, Framing: FramingPublic})
		if err != nil {
			tb.Fatal(err)
		}
		b.bundles[i].leaf = g.pending.next.private.Leaf
		if _, err := b.Process(r.Commit); err != nil {
			tb.Fatal(err)
		}
	}
	return b
}

func mustBench[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

func BenchmarkKeyPackage(b *testing.B) {
	id := mustBench(GenerateBasicIdentity(benchSuite, []byte("alice")))(b)
	for b.Loop() {
		mustBench(NewKeyPackage(id, KeyPackageOptions{}))(b)
	}
}

func BenchmarkCreateAddJoin(b *testing.B) {
	alice := mustBench(GenerateBasicIdentity(benchSuite, []byte("alice")))(b)
	bob := mustBench(GenerateBasicIdentity(benchSuite, []byte("bob")))(b)
	for b.Loop() {
		k := mustBench(NewKeyPackage(bob, KeyPackageOptions{}))(b)
		g := mustBench(NewGroup([]byte("bench"), alice, GroupOptions{}))(b)
		p := mustBench(Add(k.Public()))(b)
		r := mustBench(g.Commit(CommitOptions{Proposals: []Proposal{p}}))(b)
		if err := g.MergePending(); err != nil {
			b.Fatal(err)
		}
		mustBench(Join(r.Welcome, k, bob, JoinOptions{}))(b)
	}
}

var benchSizes = []int{10, 100, 1000}

func sizes(b *testing.B, populated bool, f func(*testing.B, *bigGroup)) {
	for _, n := range benchSizes {
		var g *bigGroup
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			if g == nil {
				if g = newBigGroup(b, n); populated {
					g.populate(b)
				}
			}
			f(b, g)
		})
	}
}

func BenchmarkAddCommitBlankTree(b *testing.B) {
	sizes(b, false, func(b *testing.B, g *bigGroup) {
		_, k := g.newcomer(b)
		raw := k.Public()
		for b.Loop() {
			p := mustBench(Add(raw))(b)
			mustBench(g.Commit(CommitOptions{Proposals: []Proposal{p}}))(b)
			g.DiscardPending()
		}
	})
}

func BenchmarkJoinPopulatedTree(b *testing.B) {
	sizes(b, true, func(b *testing.B, g *bigGroup) {
		id, k := g.newcomer(b)
		p := mustBench(Add(k.Public()))(b)
		r := mustBench(g.Commit(CommitOptions{Proposals: []Proposal{p}}))(b)
		g.DiscardPending()
		for b.Loop() {
			mustBench(Join(r.Welcome, k, id, JoinOptions{}))(b)
		}
	})
}

func BenchmarkUpdateCommitCreate(b *testing.B) {
	sizes(b, true, func(b *testing.B, g *bigGroup) {
		for b.Loop() {
			mustBench(g.Commit(CommitOptions{ForcePath: true}))(b)
			g.DiscardPending()
		}
	})
}

// BenchmarkUpdateCommitProcess measures all of Process but the last step, which
// puts the new epoch in the place of the old one.
func BenchmarkUpdateCommitProcess(b *testing.B) {
	sizes(b, true, func(b *testing.B, g *bigGroup) {
		other := g.as(len(g.ids) - 1)
		r := mustBench(other.Commit(CommitOptions{ForcePath: true}))(b)
		for b.Loop() {
			var m wire.Message
			if err := decode(r.Commit, &m); err != nil {
				b.Fatal(err)
			}
			keys := g.cur.keys()
			leaf, generation, guard, err := keys.Sender(m.Private)
			if err != nil {
				b.Fatal(err)
			}
			o := mustBench(keys.Open(m.Private, leaf, generation, guard))(b)
			if err := keys.Verify(&o.AuthenticatedContent, g.cur.tree.Leaf(ratchet.Leaf(leaf)).SignatureKey); err != nil {
				b.Fatal(err)
			}
			rc := mustBench(g.readCommit(&o.AuthenticatedContent))(b)
			if err := g.follow(rc, &o.AuthenticatedContent); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkProtect(b *testing.B) {
	for _, n := range []int{256, 64 << 10} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			g := newBigGroup(b, 2)
			data := make([]byte, n)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				mustBench(g.Protect(data, nil))(b)
			}
		})
	}
}

func BenchmarkUnprotect(b *testing.B) {
	for _, n := range []int{256, 64 << 10} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			g := newBigGroup(b, 2)
			other := g.as(1)
			data := make([]byte, n)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			const batch = 256
			var ms [][]byte
			for b.Loop() {
				if len(ms) == 0 {
					b.StopTimer()
					for range batch {
						ms = append(ms, mustBench(other.Protect(data, nil))(b))
					}
					b.StartTimer()
				}
				mustBench(g.Process(ms[0]))(b)
				ms = ms[1:]
			}
		})
	}
}

func BenchmarkAdd999(b *testing.B) {
	g := newBigGroup(b, 1)
	var raws [][]byte
	for range 999 {
		_, k := g.newcomer(b)
		raws = append(raws, k.Public())
	}
	for b.Loop() {
		var opts CommitOptions
		for _, raw := range raws {
			opts.Proposals = append(opts.Proposals, mustBench(Add(raw))(b))
		}
		mustBench(g.Commit(opts))(b)
		g.DiscardPending()
	}
}

// BenchmarkSaveAfterMessage measures what must be stored after a message.
func BenchmarkSaveAfterMessage(b *testing.B) {
	sizes(b, false, func(b *testing.B, g *bigGroup) {
		g.Changes()
		g.Saved()
		bytes, records := 0, 0
		for b.Loop() {
			mustBench(g.Protect([]byte("hello"), nil))(b)
			for _, r := range g.Changes() {
				bytes += len(r.Value)
				records++
			}
			g.Saved()
		}
		b.ReportMetric(float64(bytes)/float64(b.N), "saved-B/op")
		b.ReportMetric(float64(records)/float64(b.N), "records/op")
	})
}

// BenchmarkMemory reports the heap that one member's state of a populated group
// takes.
func BenchmarkMemory(b *testing.B) {
	g := newBigGroup(b, 1000).populate(b)
	records := g.Snapshot()
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	id := g.ids[0]
	for b.Loop() {
		before := heap()
		l := mustBench(LoadGroup(records, id, Policy{}))(b)
		b.ReportMetric(float64(heap()-before)/1e6, "MB/state")
		runtime.KeepAlive(l)
	}
}

func BenchmarkXWing(b *testing.B) {
	s, err := suite.Lookup(suite.XWingAES128)
	if err != nil {
		b.Fatal(err)
	}
	k := mustBench(s.GenerateKey())(b)
	secret := make([]byte, 32)
	b.Run("seal", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := s.EncryptWithLabel(k.Public(), "bench", nil, secret); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("open", func(b *testing.B) {
		enc, ct, err := s.EncryptWithLabel(k.Public(), "bench", nil, secret)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := s.DecryptWithLabel(k, "bench", nil, enc, ct); err != nil {
				b.Fatal(err)
			}
		}
	})
}
