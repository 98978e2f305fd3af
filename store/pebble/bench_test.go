package pebble_test

import (
	"testing"

	"quicnprotochat/store"
	"quicnprotochat/store/pebble"
	"quicnprotochat/store/storetest"
)

func Benchmark(b *testing.B) {
	storetest.Bench(b, func(b *testing.B) storetest.Basic {
		s, err := pebble.Open(b.TempDir(), pebble.Options{Quota: store.Quota{Messages: 1 << 40, Bytes: 1 << 50}})
		if err != nil {
			b.Fatal(err)
		}
		return s
	})
}

// BenchmarkEmptyHead reads a queue that is empty after many cycles.
func BenchmarkEmptyHead(b *testing.B) {
	s, err := pebble.Open(b.TempDir(), pebble.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	q := store.QueueID{Owner: store.Identity{1}}
	id := 0
	for range 50 {
		batch := make([]store.Message, 2000)
		for i := range batch {
			id++
			batch[i] = store.Message{Queue: q, Payload: make([]byte, 64), ID: store.MessageID{byte(id), byte(id >> 8), byte(id >> 16)}}
		}
		r, err := s.Enqueue(b.Context(), batch)
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Acknowledge(b.Context(), []store.Cursor{{Queue: q, Seq: r[len(r)-1].Seq}}); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		p, err := s.Read(b.Context(), q, 0, 10, 1000)
		if err != nil || len(p.Messages) != 0 || p.Last != 100_000 {
			b.Fatalf("%+v, %v", p, err)
		}
	}
}
