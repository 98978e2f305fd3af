package ds

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"quicnprotochat/quicrpc"
	"quicnprotochat/store"
	"quicnprotochat/store/memory"
)

// TestBlobModel: several people who put right and wrong chunks of the same blobs, in any order, find what the model says: a blob grows by its next chunk only, is there when it is whole,
// and is dropped when it is whole and wrong.
func TestBlobModel(t *testing.T) {
	const c = store.ChunkSize
	type blob struct {
		data, hash []byte
		have       int
		wrong      bool // a chunk with another content is in it
	}
	rapid.Check(t, func(rt *rapid.T) {
		f := startOn(memory.New(memory.Options{}), Limits{})
		var blobs []*blob
		for _, size := range []int{1, c, 2*c + 9} {
			data, hash := content(size)
			blobs = append(blobs, &blob{data: data, hash: hash})
		}
		var people []*caller
		for n := range 2 {
			conn := newConn(byte(n + 1))
			k := &caller{t, f, conn, f.client(conn)}
			defer func() { k.ds.Release(); f.end(conn) }()
			people = append(people, k)
		}
		for range rapid.IntRange(1, 25).Draw(rt, "calls") {
			k, b := rapid.SampledFrom(people).Draw(rt, "who"), rapid.SampledFrom(blobs).Draw(rt, "blob")
			chunk := rapid.IntRange(0, (len(b.data)-1)/c).Draw(rt, "chunk")
			data := bytes.Clone(b.data[chunk*c : min((chunk+1)*c, len(b.data))])
			switch rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0: // ask
				data = nil
			case 1: // put something else
				data[0]++
			case 2:
				got, size, err := k.getBlob(b.hash, chunk*c, 0)
				if b.have < len(b.data) {
					if !errors.Is(err, quicrpc.ErrNotFound) {
						rt.Fatalf("get of a blob that is not there: %v", err)
					}
				} else if err != nil || size != len(b.data) || !bytes.Equal(got, data) {
					rt.Fatalf("get: %d bytes of %d, %v", len(got), size, err)
				}
				continue
			}
			next := b.have == chunk*c && len(data) > 0 && b.have < len(b.data)
			if next {
				b.have += len(data)
				b.wrong = b.wrong || !bytes.Equal(data, b.data[chunk*c:b.have])
			}
			have, complete, err := k.putBlob(b.hash, len(b.data), chunk*c, data)
			if b.have == len(b.data) && b.wrong {
				b.have, b.wrong = 0, false
				if !errors.Is(err, quicrpc.ErrInvalidArgument) {
					rt.Fatalf("a wrong blob: %v", err)
				}
				continue
			}
			if err != nil || have != b.have || complete != (b.have == len(b.data)) {
				rt.Fatalf("put chunk %d: have %d, complete %v, %v; want %d", chunk, have, complete, err, b.have)
			}
		}
	})
}
