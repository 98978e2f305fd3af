package pebble

import (
	"testing"

	"quicnprotochat/store"
)

func TestFilter(t *testing.T) {
	f := newFilters()
	b := f.bucket(1)
	hash := func(n int) uint64 {
		return f.hash(uint64(n%7), &store.MessageID{byte(n), byte(n >> 8), byte(n >> 16)})
	}
	if b.mayHold(hash(1)) {
		t.Fatal("an empty filter holds something")
	}
	const ids = 200_000
	for n := range ids {
		b.add(hash(n))
	}
	for n := range ids {
		if !b.mayHold(hash(n)) {
			t.Fatalf("id %d was added and is not held", n)
		}
	}
	wrong := 0
	for n := ids; n < 2*ids; n++ {
		if b.mayHold(hash(n)) {
			wrong++
		}
	}
	if wrong > ids/1000 {
		t.Fatalf("%d of %d ids held that were never added", wrong, ids)
	}
	other := newFilters()
	other.bucket(1).add(5)
	other.bucket(2).add(6)
	f.merge(other)
	if !f.bucket(1).mayHold(5) || !f.bucket(1).mayHold(hash(3)) || !f.bucket(2).mayHold(6) || !f.complete {
		t.Fatal("merge lost something")
	}
	f.drop(2)
	if len(f.buckets) != 1 {
		t.Fatalf("%d buckets", len(f.buckets))
	}
}
