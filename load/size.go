package load

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
)

// MinSize is the smallest payload: a stamp must fit. MaxSize is the largest.
const (
	MinSize = stampSize
	MaxSize = 1 << 20
)

// Size gives the sizes of payloads, bytes.
type Size func(*rand.Rand) int

// ParseSize reads a distribution of sizes: "256"; "64-4096", each as likely; "lognormal:256:1.2", median and sigma; "mix:64=9,4096=1", sizes
// with weights. What is outside MinSize and MaxSize is made to fit.
func ParseSize(text string) (Size, error) {
	bad := fmt.Errorf("%w: size %q: want 256, 64-4096, lognormal:256:1.2 or mix:64=9,4096=1", ErrConfig, text)
	kind, rest, named := strings.Cut(text, ":")
	switch {
	case named && kind == "lognormal":
		m, s, _ := strings.Cut(rest, ":")
		median, err1 := strconv.ParseFloat(m, 64)
		sigma, err2 := strconv.ParseFloat(s, 64)
		if err1 != nil || err2 != nil || !(median >= 1 && median <= MaxSize && sigma >= 0 && sigma <= 10) {
			return nil, bad
		}
		return func(r *rand.Rand) int { return fit(int(min(median*math.Exp(sigma*r.NormFloat64()), MaxSize))) }, nil
	case named && kind == "mix":
		if size := parseMix(rest); size != nil {
			return size, nil
		}
		return nil, bad
	case named:
		return nil, bad
	}
	a, b, isRange := strings.Cut(text, "-")
	low, err := strconv.Atoi(a)
	high := low
	if isRange && err == nil {
		high, err = strconv.Atoi(b)
	}
	if err != nil || low < 1 || high < low || high > MaxSize {
		return nil, bad
	}
	return func(r *rand.Rand) int { return fit(low + r.IntN(high-low+1)) }, nil
}

// parseMix returns nil for what it cannot read.
func parseMix(text string) Size {
	var sizes, upTo []int
	total := 0
	for part := range strings.SplitSeq(text, ",") {
		a, b, _ := strings.Cut(part, "=")
		size, err1 := strconv.Atoi(a)
		weight, err2 := strconv.Atoi(b)
		if err1 != nil || err2 != nil || size < 1 || size > MaxSize || weight < 1 || weight > 1_000_000 || len(sizes) == 100 {
			return nil
		}
		total += weight
		sizes, upTo = append(sizes, size), append(upTo, total)
	}
	return func(r *rand.Rand) int {
		n, i := r.IntN(total), 0
		for upTo[i] <= n {
			i++
		}
		return fit(sizes[i])
	}
}

func fit(n int) int { return max(MinSize, min(n, MaxSize)) }
