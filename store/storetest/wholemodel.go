package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"quicnprotochat/store"
	"quicnprotochat/store/memory"
)

// pair is an engine beside the reference, which is asked all the same things.
type pair struct {
	*engine
	reference *memory.Store
	versions  []versions // of records, as the two have given them
	number    int        // of the newest message
	passed    time.Duration
}

type versions struct {
	key      string
	of, want uint64
}

// testWholeModel walks at random through all that an engine can do, with restarts, beside the memory engine.
func testWholeModel(t *testing.T, e *engine) {
	rapid.Check(t, func(r *rapid.T) {
		run := &engine{T: t, open: e.open, now: e.now}
		quota := store.Quota{Groups: 2, Members: 3, KeyPackages: 4, BlobBytes: 1000}
		o := run.open(t, Config{Quota: quota, Clock: run.clock})
		run.opened = opened{o.Store, o.Restart}
		p := &pair{engine: run, reference: memory.New(memory.Options{Quota: quota, Clock: run.clock})}
		defer func() { _ = run.Engine.Close() }()
		r.Repeat(map[string]func(*rapid.T){
			"enqueue":     p.enqueueSome,
			"post":        p.postSome,
			"create":      p.createOne,
			"commit":      p.commitOne,
			"commit more": p.commitOne,
			"acknowledge": p.acknowledgeOne,
			"record":      p.setOne,
			"package":     p.packages,
			"blob":        p.blobOne,
			"drop":        p.dropOne,
			"time":        p.timePasses,
			"restart": func(r *rapid.T) {
				if run.restart != nil && rapid.IntRange(0, 5).Draw(r, "really") == 0 {
					run.Engine = run.restart()
				}
			},
			"": p.check,
		})
	})
}

var ctx = context.Background()

func who(r *rapid.T) int { return rapid.IntRange(1, 4).Draw(r, "who") }

func group(r *rapid.T) string { return rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "group") }

// kind names the error of the interface that err is.
func kind(err error) string {
	for _, known := range []error{
		store.ErrInvalid, store.ErrTooLarge, store.ErrBeyondLast, store.ErrNotFound, store.ErrConflict, store.ErrExists, store.ErrEpoch,
		store.ErrNotMember, store.ErrChanged, store.ErrHash, store.ErrQuota,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return fmt.Sprint(err)
}

// same fails unless the engine answers as the reference does.
func same[T any](r *rapid.T, what string, got T, err error, want T, wantErr error) {
	r.Helper()
	if kind(err) != kind(wantErr) || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		r.Fatalf("%s: %+v, %v, want %+v, %v", what, got, err, want, wantErr)
	}
}

// next is the number of a new message, or at times of one that was there before.
func (p *pair) next(r *rapid.T) int {
	if p.number > 0 && rapid.IntRange(0, 4).Draw(r, "old") == 0 {
		return rapid.IntRange(1, p.number).Draw(r, "number")
	}
	p.number++
	return p.number
}

func (p *pair) expiry(r *rapid.T) time.Time {
	if hours := rapid.IntRange(0, 6).Draw(r, "life"); hours > 0 {
		return p.clock().Add(time.Duration(hours) * time.Hour)
	}
	return time.Time{}
}

func smallBlob(n int) []byte { return content(200+n, byte(n)) }

func (p *pair) blobsOf(r *rapid.T) []store.BlobID {
	if n := rapid.IntRange(0, 8).Draw(r, "holds"); n < 3 {
		return []store.BlobID{sha256.Sum256(smallBlob(n))}
	}
	return nil
}

func (p *pair) queue(r *rapid.T) store.QueueID {
	q := inbox(who(r))
	if rapid.Bool().Draw(r, "named") {
		q.Group = group(r)
	}
	return q
}

func (p *pair) message(r *rapid.T) store.Message {
	m := message(p.queue(r), p.next(r))
	m.Expires, m.Blobs = p.expiry(r), p.blobsOf(r)
	return m
}

func (p *pair) enqueueSome(r *rapid.T) {
	var batch []store.Message
	for range rapid.IntRange(1, 4).Draw(r, "batch") {
		batch = append(batch, p.message(r))
	}
	got, err := p.Enqueue(ctx, batch)
	want, wantErr := p.reference.Enqueue(ctx, batch)
	same(r, "enqueue", got, err, want, wantErr)
}

func (p *pair) postSome(r *rapid.T) {
	var batch []store.Post
	for range rapid.IntRange(1, 4).Draw(r, "batch") {
		one := post(group(r), who(r), p.next(r))
		one.Expires, one.Blobs = p.expiry(r), p.blobsOf(r)
		one.Epoch, one.Current = uint64(rapid.IntRange(3, 6).Draw(r, "epoch")), rapid.IntRange(0, 3).Draw(r, "current") == 0
		batch = append(batch, one)
	}
	got, err := p.Append(ctx, batch)
	want, wantErr := p.reference.Append(ctx, batch)
	same(r, "append", got, err, want, wantErr)
}

func (p *pair) createOne(r *rapid.T) {
	g := store.NewGroup{ID: group(r), Founder: owner(who(r)), Epoch: 3, Info: []byte("first")}
	same(r, "create", 0, p.CreateGroup(ctx, g), 0, p.reference.CreateGroup(ctx, g))
}

func (p *pair) commitOne(r *rapid.T) {
	id, epoch := group(r), uint64(rapid.IntRange(3, 5).Draw(r, "epoch"))
	if g, err := p.reference.Group(ctx, id); err == nil && rapid.IntRange(0, 5).Draw(r, "stale") > 0 {
		epoch = g.Epoch
	}
	c := change(id, who(r), epoch, p.next(r))
	some := rapid.SliceOfN(rapid.IntRange(1, 4), 0, 3)
	c.Added, c.Removed = owners(some.Draw(r, "added")...), owners(rapid.SliceOfN(rapid.IntRange(1, 4), 0, 1).Draw(r, "removed")...)
	for range rapid.IntRange(0, 2).Draw(r, "welcomes") {
		c.Welcomes = append(c.Welcomes, p.message(r))
	}
	if last, err := p.reference.LastCommit(ctx, id); err == nil && rapid.IntRange(0, 2).Draw(r, "replaces") == 0 {
		c.Replaces, c.Epoch = last.Seq-uint64(rapid.IntRange(0, 4).Draw(r, "another")/4), last.Epoch-1
	}
	got, err := p.Commit(ctx, c)
	want, wantErr := p.reference.Commit(ctx, c)
	same(r, "commit", got, err, want, wantErr)
}

func (p *pair) acknowledgeOne(r *rapid.T) {
	q := p.queue(r)
	q.Shared = q.Group != "" && rapid.Bool().Draw(r, "shared")
	page, err := p.reference.Read(ctx, q, 0, 1, 1)
	if err != nil {
		r.Fatal(err)
	}
	c := []store.Cursor{{Queue: q, Seq: rapid.Uint64Range(0, page.Last+1).Draw(r, "to")}}
	same(r, "acknowledge", 0, p.Acknowledge(ctx, c), 0, p.reference.Acknowledge(ctx, c))
}
