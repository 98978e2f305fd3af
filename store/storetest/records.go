package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"quicnprotochat/store"
)

func (e *engine) set(key, value string, version uint64) uint64 {
	e.Helper()
	v, err := e.PutRecord(context.Background(), key, []byte(value), version)
	if err != nil || (v == 0) != (value == "") {
		e.Fatalf("record %q: version %d, %v", key, v, err)
	}
	return v
}

func (e *engine) record(key string) store.Record {
	e.Helper()
	r, err := e.GetRecord(context.Background(), key)
	if err != nil {
		e.Fatalf("record %q: %v", key, err)
	}
	return r
}

// testRecordRace has many writers set one record: each version is replaced once.
func testRecordRace(t *testing.T, e *engine) {
	const racers, rounds = 64, 20
	e.start(store.Quota{})
	version := uint64(0)
	seen := map[uint64]bool{0: true}
	for round := range rounds {
		var wins atomic.Int64
		var wg sync.WaitGroup
		var next atomic.Uint64
		for n := range racers {
			wg.Go(func() {
				v, err := e.PutRecord(context.Background(), "k", fmt.Append(nil, n), version)
				if err == nil {
					wins.Add(1)
					next.Store(v)
				} else if !errors.Is(err, store.ErrChanged) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if version = next.Load(); wins.Load() != 1 || seen[version] {
			t.Fatalf("round %d: %d won with version %d", round, wins.Load(), version)
		}
		seen[version] = true
		if round%5 == 4 {
			e.again()
		}
		if r := e.record("k"); r.Version != version {
			t.Fatalf("version %d, want %d", r.Version, version)
		}
	}
}

// testRecordVersions removes records and makes them again: no old version fits ever again.
func testRecordVersions(t *testing.T, e *engine) {
	e.start(store.Quota{})
	ctx := t.Context()
	old := []uint64{}
	for round := range 6 {
		first := e.set("k", "a", 0)
		second := e.set("k", "b", first)
		old = append(old, first)
		if round%2 == 1 {
			e.again()
		}
		for _, v := range append(old, 0) {
			if _, err := e.PutRecord(ctx, "k", []byte("c"), v); !errors.Is(err, store.ErrChanged) {
				t.Fatalf("version %d of old: %v", v, err)
			}
			if _, err := e.PutRecord(ctx, "k", nil, v); !errors.Is(err, store.ErrChanged) {
				t.Fatalf("removed by version %d of old: %v", v, err)
			}
		}
		if r := e.record("k"); string(r.Value) != "b" || r.Version != second {
			t.Fatalf("%+v", r)
		}
		e.set("k", "", second)
		old = append(old, second)
		if round%3 == 1 {
			e.again()
		}
		if _, err := e.GetRecord(ctx, "k"); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("a removed record: %v", err)
		}
		if _, err := e.PutRecord(ctx, "k", []byte("c"), second); !errors.Is(err, store.ErrChanged) {
			t.Fatalf("a removed record set by its last version: %v", err)
		}
		e.set("k", "", 0) // removing none is no error
	}
}

func testRecordList(t *testing.T, e *engine) {
	e.start(store.Quota{})
	keys := []string{"\x00", "a", "a\x00", "a/1", "a/2", "a/3", "a\xff", "b", "\xff", "\xff\xff"}
	for _, i := range []int{3, 8, 0, 5, 1, 9, 4, 2, 7, 6} {
		e.set(keys[i], "value of "+keys[i], 0)
	}
	e.again()
	for _, prefix := range []string{"", "a", "a/", "b", "c", "\xff"} {
		for _, from := range append(keys, "", "a/2\x00", "zzz") {
			var want []string
			for _, k := range keys {
				if strings.HasPrefix(k, prefix) && k >= from {
					want = append(want, k)
				}
			}
			for most := 1; most <= len(want)+1; most++ {
				got, more, err := e.ListRecords(t.Context(), prefix, from, most)
				if err != nil || len(got) != min(most, len(want)) || more != (most < len(want)) {
					t.Fatalf("prefix %q from %q at most %d: %d of %d, %v, %v", prefix, from, most, len(got), len(want), more, err)
				}
				for i, r := range got {
					if r.Key != want[i] || string(r.Value) != "value of "+want[i] || r.Version != e.record(want[i]).Version {
						t.Fatalf("%+v, want %q", r, want[i])
					}
				}
			}
		}
	}
}

func testRecordArguments(t *testing.T, e *engine) {
	e.start(store.Quota{})
	ctx := t.Context()
	long, value := strings.Repeat("k", store.MaxKey), bytes.Repeat([]byte{7}, store.MaxValue)
	for name, c := range map[string]struct{ err, want error }{
		"no key":          {second(e.PutRecord(ctx, "", []byte{1}, 0)), store.ErrInvalid},
		"long key":        {second(e.PutRecord(ctx, long+"k", []byte{1}, 0)), store.ErrInvalid},
		"large value":     {second(e.PutRecord(ctx, "k", append(value, 7), 0)), store.ErrTooLarge},
		"get no key":      {second(e.GetRecord(ctx, "")), store.ErrInvalid},
		"get long key":    {second(e.GetRecord(ctx, long+"k")), store.ErrInvalid},
		"get none":        {second(e.GetRecord(ctx, "k")), store.ErrNotFound},
		"list at most 0":  {third(e.ListRecords(ctx, "", "", 0)), store.ErrInvalid},
		"version of none": {second(e.PutRecord(ctx, "k", []byte{1}, 5)), store.ErrChanged},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", name, c.err, c.want)
		}
	}
	e.set(long, string(value), 0)
	e.again()
	if r := e.record(long); !bytes.Equal(r.Value, value) {
		t.Fatalf("%d bytes came back", len(r.Value))
	}
	r := e.record(long)
	r.Value[0] = 1 // the caller's own
	if r := e.record(long); r.Value[0] != 7 {
		t.Fatal("a reader changed what is stored")
	}
}
