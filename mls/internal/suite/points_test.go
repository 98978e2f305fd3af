package suite

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
)

func fresh() *points {
	return &points{table: map[uint16]*Suite{XWingAES128: suites[XWingAES128], MLKEM768AES256: suites[MLKEM768AES256]}}
}

func TestSetPoints(t *testing.T) {
	p := fresh()
	if err := p.set(map[uint16]uint16{0xf0a1: XWingAES128, 0x004d: XWingAES128, XWingAES256: XWingAES256}); err != nil {
		t.Fatal(err)
	}
	if got := p.ids(); !slices.Equal(got, []uint16{0x004d, XWingAES256, 0xf0a1}) {
		t.Errorf("%x", got)
	}
	for id, name := range map[uint16]string{0xf0a1: suites[XWingAES128].Name, 0x004d: suites[XWingAES128].Name, XWingAES256: suites[XWingAES256].Name} {
		if s := p.find(id, false); s == nil || s.ID != id || s.Name != name {
			t.Errorf("%#x: %+v", id, s)
		}
	}
	if p.find(XWingAES128, true) != nil || p.find(MLKEM768AES256, true) != nil {
		t.Error("what was left out is still known")
	}
	if suites[XWingAES128].ID != XWingAES128 {
		t.Error("the built-in suite changed")
	}
	if err := p.set(nil); err != nil || len(p.ids()) != 0 {
		t.Errorf("a look-up that found nothing counts as use: %v", err)
	}
}

func TestSetPointsRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		id, of uint16
		err    error
	}{
		"zero":                {0, XWingAES128, ErrCodePoint},
		"suite 1":             {X25519AES128, XWingAES128, ErrCodePoint},
		"suite 7":             {P384AES256, XWingAES128, ErrCodePoint},
		"GREASE, first":       {0x0a0a, XWingAES128, ErrCodePoint},
		"GREASE, last":        {0xeaea, XWingAES128, ErrCodePoint},
		"another's default":   {XWingAES256, XWingAES128, ErrCodePoint},
		"a classical suite":   {0xf0a1, X25519AES128, ErrUnknown},
		"classical as itself": {X25519AES128, X25519AES128, ErrUnknown},
		"no suite":            {0xf0a1, 0xf0a1, ErrUnknown},
	} {
		p := fresh()
		before := maps.Clone(p.table)
		if err := p.set(map[uint16]uint16{c.id: c.of, 0xf0ff: XWingAES128}); !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
		if !maps.Equal(p.table, before) {
			t.Errorf("%s: the table changed", name)
		}
	}
	for _, id := range []uint16{8, 0x0a0b, 0x1a0a, 0xfafa, 0xffff} {
		if err := fresh().set(map[uint16]uint16{id: XWingAES128}); err != nil {
			t.Errorf("%#x: %v", id, err)
		}
	}
}

// TestPointsInUse sets and uses code points at the same time: whoever found a
// suite finds the same ever after.
func TestPointsInUse(t *testing.T) {
	for range 50 {
		p := fresh()
		found := make([]*Suite, 4)
		var wg sync.WaitGroup
		for i := range found {
			wg.Go(func() { found[i] = p.find(XWingAES128, true) })
		}
		wg.Go(func() {
			if err := p.set(map[uint16]uint16{0xf0a1: XWingAES128}); err != nil && !errors.Is(err, ErrInUse) {
				t.Error(err)
			}
		})
		wg.Wait()
		for _, s := range found {
			if s != nil && p.find(XWingAES128, true) != s {
				t.Fatal("a code point that was in use changed its meaning")
			}
		}
	}
	p := fresh()
	p.find(XWingAES128, true)
	if err := p.set(nil); !errors.Is(err, ErrInUse) || len(p.ids()) != 2 {
		t.Errorf("after use: %v", err)
	}
}
