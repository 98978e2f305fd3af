package load

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestParseSize(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for text, want := range map[string]struct{ low, median, high int }{
		"256":                {256, 256, 256},
		"1":                  {MinSize, MinSize, MinSize},
		"1048576":            {MaxSize, MaxSize, MaxSize},
		"100-300":            {100, 200, 300},
		"lognormal:256:1.2":  {MinSize, 256, MaxSize},
		"lognormal:1000:0":   {1000, 1000, 1000},
		"mix:64=9,4096=1":    {64, 64, 4096},
		"mix:100=1,200=1000": {100, 200, 200},
	} {
		size, err := ParseSize(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		drawn := make([]int, 4001)
		for i := range drawn {
			drawn[i] = size(rng)
		}
		slices.Sort(drawn)
		median := drawn[len(drawn)/2]
		if drawn[0] < want.low || drawn[len(drawn)-1] > want.high || median < want.median*9/10 || median > want.median*11/10 {
			t.Errorf("%s: %d to %d, median %d; want %v", text, drawn[0], drawn[len(drawn)-1], median, want)
		}
	}
	for _, text := range []string{"", "0", "-1", "x", "1-", "5-4", "1048577", "10-2000000", "lognormal", "lognormal:", "lognormal:256", "lognormal:NaN:1", "lognormal:1:-1", "lognormal:1:Inf",
		"mix:", "mix:1", "mix:1=0", "mix:1=1,", "mix:2000000=1", "other:1"} {
		if _, err := ParseSize(text); !errors.Is(err, ErrConfig) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"256", "64-4096", "lognormal:256:1.2", "mix:64=9,4096=1", "mix:1=1000000,2=1000000", "9223372036854775807-9223372036854775807"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		size, err := ParseSize(text)
		if err != nil {
			if !errors.Is(err, ErrConfig) {
				t.Error(err)
			}
			return
		}
		rng := rand.New(rand.NewPCG(1, 2))
		for range 100 {
			if n := size(rng); n < MinSize || n > MaxSize {
				t.Fatalf("%q: %d", text, n)
			}
		}
	})
}
