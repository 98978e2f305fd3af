package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// results holds every measured value by benchmark name, without "Benchmark" and
// the number of processors, and unit.
type results map[string]map[string][]float64

// parse reads the output of go test -bench.
func parse(r io.Reader) (results, error) {
	m := make(results)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 4 || !strings.HasPrefix(f[0], "Benchmark") {
			continue
		}
		name := strings.TrimPrefix(f[0], "Benchmark")
		if i := strings.LastIndexByte(name, '-'); i > 0 {
			if _, err := strconv.Atoi(name[i+1:]); err == nil {
				name = name[:i]
			}
		}
		if m[name] == nil {
			m[name] = make(map[string][]float64)
		}
		for i := 2; i+1 < len(f); i += 2 {
			v, err := strconv.ParseFloat(f[i], 64)
			if err != nil {
				return nil, fmt.Errorf("%q: %w", lines.Text(), err)
			}
			m[name][f[i+1]] = append(m[name][f[i+1]], v)
		}
	}
	return m, lines.Err()
}

// median returns the median of a benchmark's values, and false when there is
// none.
func (m results) median(name, unit string) (float64, bool) {
	v := slices.Sorted(slices.Values(m[name][unit]))
	n := len(v)
	switch {
	case n == 0:
		return 0, false
	case n%2 == 1:
		return v[n/2], true
	}
	return (v[n/2-1] + v[n/2]) / 2, true
}
