package hotlog

import (
	"encoding/binary"
	"errors"
	"testing"

	"quicnprotochat/store"
)

func FuzzRecordValue(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0, 0, 2, 0, 'v'})
	f.Add(make([]byte, 9))
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		version, value, err := decodeRecord(b)
		if err != nil {
			if !errors.Is(err, store.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		if again := append(binary.BigEndian.AppendUint64(nil, version), value...); string(again) != string(b) || version == 0 || len(value) == 0 {
			t.Fatalf("%x became version %d, %d bytes", b, version, len(value))
		}
	})
}
