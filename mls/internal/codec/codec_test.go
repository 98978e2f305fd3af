package codec

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func TestIntegersAndVectorsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Uint8().Draw(t, "u8"), rapid.Uint16().Draw(t, "u16")
		c, d := rapid.Uint32().Draw(t, "u32"), rapid.Uint64().Draw(t, "u64")
		v := rapid.SliceOfN(rapid.Byte(), 0, 70000).Draw(t, "vector")
		o := rapid.Bool().Draw(t, "optional")
		out := AppendU64(AppendU32(AppendU16([]byte{a}, b), c), d)
		out = AppendOptional(AppendVec(out, v), o)
		out = AppendNested(out, func(b []byte) []byte { return AppendVec(b, v) })
		r := NewReader(out)
		if r.U8() != a || r.U16() != b || r.U32() != c || r.U64() != d || !bytes.Equal(r.Vec(), v) || r.Optional() != o {
			t.Fatalf("values differ")
		}
		sub := r.Sub()
		if !bytes.Equal(sub.Vec(), v) {
			t.Fatalf("the nested vector differs")
		}
		if r.Join(sub); r.Done() != nil {
			t.Fatalf("%v", r.Done())
		}
	})
}

func TestHeaders(t *testing.T) {
	for _, c := range []struct {
		in   []byte
		n    int
		want error
	}{
		{[]byte{0}, 0, nil},
		{[]byte{0x3f}, 63, nil},
		{[]byte{0x40, 0x40}, 64, nil},
		{[]byte{0x40, 0x3f}, 0, ErrVarint},
		{[]byte{0x80, 0, 0x40, 0}, 1 << 14, nil},
		{[]byte{0x80, 0, 0x3f, 0xff}, 0, ErrVarint},
		{[]byte{0xbf, 0xff, 0xff, 0xff}, MaxVector, nil},
		{[]byte{0xc0, 0, 0, 0, 0, 0, 0, 1}, 0, ErrVarint},
		{nil, 0, ErrTruncated},
		{[]byte{0x40}, 0, ErrTruncated},
		{[]byte{0x80, 1, 1}, 0, ErrTruncated},
	} {
		r := NewReader(c.in)
		n := r.Length()
		if !errors.Is(r.Err(), c.want) || (r.Err() == nil) != (c.want == nil) || c.want == nil && n != c.n {
			t.Errorf("%x: %d, %v", c.in, n, r.Err())
		}
	}
}

func TestErrorsStick(t *testing.T) {
	r := NewReader([]byte{0xff, 0, 1})
	if r.Vec() != nil || !errors.Is(r.Err(), ErrVarint) || r.U8() != 0 || r.Len() != 0 || r.More() {
		t.Errorf("%v", r.Err())
	}
	r = NewReader([]byte{2})
	if r.Optional() || !errors.Is(r.Err(), ErrEnum) {
		t.Errorf("%v", r.Err())
	}
	r = NewReader([]byte{1, 2})
	if r.U8(); !errors.Is(r.Done(), ErrTrailing) {
		t.Errorf("%v", r.Done())
	}
	r = NewReader([]byte{2, 0, 0})
	sub := r.Sub()
	sub.U8()
	if r.Join(sub); !errors.Is(r.Err(), ErrTrailing) {
		t.Errorf("%v", r.Err())
	}
}

func TestReadingAllocatesNothing(t *testing.T) {
	in := AppendVec(nil, make([]byte, 1000))
	if n := testing.AllocsPerRun(100, func() {
		r := Reader{buf: in}
		if len(r.Vec()) != 1000 {
			t.Error("short")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestOverlongVectorPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	AppendLength(nil, MaxVector+1)
}

// FuzzReader reads a program of operations and checks the bounds.
func FuzzReader(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6}, []byte{1, 2, 3, 0x40, 0x41, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, program, in []byte) {
		r := NewReader(in)
		for _, p := range program {
			before := r.Len()
			switch p % 7 {
			case 0:
				r.U8()
			case 1:
				r.U16()
			case 2:
				r.U32()
			case 3:
				r.U64()
			case 4:
				if v := r.Vec(); len(v) > before {
					t.Fatal("a view is longer than the input")
				}
			case 5:
				sub := r.Sub()
				sub.Vec()
				r.Join(sub)
			case 6:
				r.Optional()
			}
			if r.Len() > before {
				t.Fatal("the rest grows")
			}
		}
	})
}
