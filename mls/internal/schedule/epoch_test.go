package schedule

import (
	"bytes"
	"errors"
	"testing"

	"quicnprotochat/mls/internal/codec"
)

// TestDecodeChecksLengths gives each secret of a saved epoch other lengths.
func TestDecodeChecksLengths(t *testing.T) {
	s := suite1(t)
	e := FromEpochSecret(s, secret())
	e.Encryption = nil
	var again Epoch
	r := codec.NewReader(e.Append(nil))
	if err := again.Decode(r, s); err != nil || r.Done() != nil {
		t.Fatalf("%v, %v", err, r.Done())
	}
	if !bytes.Equal(again.Append(nil), e.Append(nil)) {
		t.Error("decoded otherwise")
	}
	for i, f := range e.fields() {
		good := *f
		for _, n := range []int{0, 1, s.Nh - 1, s.Nh, s.Nh + 1} {
			if n == len(good) {
				continue
			}
			*f = make([]byte, n)
			if err := again.Decode(codec.NewReader(e.Append(nil)), s); !errors.Is(err, ErrSaved) {
				t.Errorf("secret %d of %d bytes: %v", i, n, err)
			}
		}
		*f = good
	}
	if err := again.Decode(codec.NewReader(e.Append(nil)[:40]), s); err == nil {
		t.Error("a state that is cut is read")
	}
}
