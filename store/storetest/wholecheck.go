package storetest

import (
	"crypto/sha256"
	"fmt"
	"time"

	"pgregory.net/rapid"

	"quicnprotochat/store"
)

func (p *pair) setOne(r *rapid.T) {
	v := versions{key: rapid.SampledFrom([]string{"k", "k/1", "l"}).Draw(r, "key")}
	of, want := uint64(0), uint64(0)
	for _, old := range p.versions {
		if old.key == v.key && rapid.IntRange(0, 3).Draw(r, "later") > 0 {
			of, want = old.of, old.want
		}
	}
	value := fmt.Append(nil, rapid.IntRange(0, 99).Draw(r, "value"))
	if rapid.IntRange(0, 4).Draw(r, "remove") == 0 {
		value = nil
	}
	var err, wantErr error
	v.of, err = p.PutRecord(ctx, v.key, value, of)
	v.want, wantErr = p.reference.PutRecord(ctx, v.key, value, want)
	same(r, "record", v.of == 0, err, v.want == 0, wantErr)
	if v.of != 0 {
		p.versions = append(p.versions, v)
	}
}

func (p *pair) packages(r *rapid.T) {
	n := who(r)
	if rapid.Bool().Draw(r, "put") {
		k := p.keyPackage(rapid.IntRange(0, 20).Draw(r, "package"), time.Duration(rapid.IntRange(1, 9).Draw(r, "life"))*time.Hour)
		k.LastResort = rapid.IntRange(0, 4).Draw(r, "last resort") == 0
		k.Data = append([]byte{0, 1, 0, byte(rapid.IntRange(1, 3).Draw(r, "suite"))}, k.Data...)
		k.Fingerprint = sha256.Sum256(k.Data)
		some := []store.KeyPackage{k}
		same(r, "put package", 0, p.PutKeyPackages(ctx, owner(n), some), 0, p.reference.PutKeyPackages(ctx, owner(n), some))
		return
	}
	if rapid.Bool().Draw(r, "claim") {
		suites := rapid.SliceOfNDistinct(rapid.Uint16Range(1, 3), 1, 3, rapid.ID).Draw(r, "suites")
		got, err := p.TakeKeyPackages(ctx, owner(n), suites)
		want, wantErr := p.reference.TakeKeyPackages(ctx, owner(n), suites)
		same(r, "claim", fingerprints(got), err, fingerprints(want), wantErr)
		return
	}
	got, err := p.TakeKeyPackage(ctx, owner(n))
	want, wantErr := p.reference.TakeKeyPackage(ctx, owner(n))
	same(r, "take", got.Fingerprint, err, want.Fingerprint, wantErr)
}

func fingerprints(packages []store.KeyPackage) (list [][32]byte) {
	for _, k := range packages {
		list = append(list, k.Fingerprint)
	}
	return list
}

func (p *pair) blobOne(r *rapid.T) {
	c := p.chunkOf(smallBlob(rapid.IntRange(0, 4).Draw(r, "blob")), who(r), 0)
	c.Expires = time.Time{} // none ends here: an engine may keep what was held a little longer
	if rapid.IntRange(0, 5).Draw(r, "wrong") == 0 {
		c.Data = append([]byte{c.Data[0] + 1}, c.Data[1:]...)
	}
	got, err := p.PutChunk(ctx, c)
	want, wantErr := p.reference.PutChunk(ctx, c)
	got.Expires, want.Expires = time.Time{}, time.Time{}
	same(r, "chunk", got, err, want, wantErr)
}

func (p *pair) dropOne(r *rapid.T) {
	if rapid.IntRange(0, 3).Draw(r, "really") > 0 {
		return
	}
	q := p.queue(r)
	q.Shared = q.Group != "" && rapid.Bool().Draw(r, "shared")
	same(r, "drop", 0, p.Drop(ctx, q), 0, p.reference.Drop(ctx, q))
}

// timePasses until some messages have expired, and not so long that an id may be forgotten.
func (p *pair) timePasses(r *rapid.T) {
	d := time.Duration(rapid.IntRange(1, 120).Draw(r, "minutes")) * time.Minute
	if p.passed+d < store.IDRetention {
		p.passed += d
		p.pass(d)
	}
	if rapid.Bool().Draw(r, "sweep") {
		p.sweep()
		for more := true; more; {
			result, err := p.reference.Sweep(ctx, 100)
			if err != nil {
				r.Fatal(err)
			}
			more = result.More
		}
	}
}

// check compares all that can be read, but for cursors that a sweep moves.
func (p *pair) check(r *rapid.T) {
	for n := 1; n <= 4; n++ {
		for _, q := range []store.QueueID{{}, {Group: "a"}, {Group: "a", Shared: true}, {Group: "b", Shared: true}, {Group: "c", Shared: true}} {
			q.Owner = owner(n)
			got, err := p.Read(ctx, q, 0, 100, 1<<20)
			want, wantErr := p.reference.Read(ctx, q, 0, 100, 1<<20)
			got.Acknowledged, want.Acknowledged = 0, 0
			for i := range got.Messages {
				got.Messages[i].AcceptedAt = got.Messages[i].AcceptedAt.UTC()
			}
			for i := range want.Messages {
				want.Messages[i].AcceptedAt = want.Messages[i].AcceptedAt.UTC()
			}
			same(r, fmt.Sprintf("read of %d %q shared %v", n, q.Group, q.Shared), got, err, want, wantErr)
		}
		got, err := p.CountKeyPackages(ctx, owner(n))
		want, wantErr := p.reference.CountKeyPackages(ctx, owner(n))
		same(r, "count", got, err, want, wantErr)
		suites, err := p.CountSuites(ctx, owner(n))
		wanted, wantErr := p.reference.CountSuites(ctx, owner(n))
		same(r, "count of suites", suites, err, wanted, wantErr)
	}
	for _, id := range []string{"a", "b", "c"} {
		got, err := p.Group(ctx, id)
		want, wantErr := p.reference.Group(ctx, id)
		got.First, want.First = 0, 0
		same(r, "group", got, err, want, wantErr)
		last, err := p.LastCommit(ctx, id)
		wantLast, wantErr := p.reference.LastCommit(ctx, id)
		same(r, "last commit", last, err, wantLast, wantErr)
		members, more, err := p.Members(ctx, id, store.Identity{}, 3)
		wanted, wantMore, wantErr := p.reference.Members(ctx, id, store.Identity{}, 3)
		for i := range members {
			members[i].Acknowledged = 0
		}
		for i := range wanted {
			wanted[i].Acknowledged = 0
		}
		same(r, "members", members, err, wanted, wantErr)
		same(r, "more members", more, nil, wantMore, nil)
	}
	got, more, err := p.ListRecords(ctx, "k", "", 2)
	want, wantMore, wantErr := p.reference.ListRecords(ctx, "k", "", 2)
	for i := range got {
		got[i].Version = 0
	}
	for i := range want {
		want[i].Version = 0
	}
	same(r, "records", got, err, want, wantErr)
	same(r, "more records", more, nil, wantMore, nil)
}
