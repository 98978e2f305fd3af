package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// slope is one long run, cut into ten parts. After each the callers wait while a new store, in a process of its own, does the same for some seconds: the
// machine's own ups and downs in half an hour are larger than what is looked for.
func (b *bench) slope(length time.Duration) error {
	if length == 0 {
		return nil
	}
	s := b.settings(256, 1, 0)
	s.Engine, s.For, s.Slices, s.Beside = "hotlog", length, 10, min(length/100, 15*time.Second)
	f, err := b.measure(s)
	if err != nil {
		return err
	}
	title := fmt.Sprintf("One run of %v at 256 callers, in ten parts, and a new store for %v after each.", length, s.Beside)
	return b.table(title, "part\t"+strings.Join(strings.Fields("1 2 3 4 5 6 7 8 9 10"), "\t")+"\n", func(w io.Writer) error {
		ratios := make([]float64, len(f.Beside))
		for i, fresh := range f.Beside {
			ratios[i] = f.Rates[i] / fresh
		}
		for _, row := range []struct {
			name, format string
			values       []float64
		}{
			{"cycles/s", "%.0f", f.Rates}, {"of a new store", "%.0f", f.Beside}, {"ratio", "%.2f", ratios}, {"processor us/cycle", "%.2f", f.CPUs},
			{"memory, MB", "%.0f", f.Residents}, {"on disk, MB", "%.0f", f.Disk},
		} {
			fmt.Fprint(w, row.name)
			for _, v := range row.values {
				fmt.Fprintf(w, "\t"+row.format, v)
			}
			fmt.Fprintln(w)
		}
		_, err := fmt.Fprintf(w, "written/payload\t%.2f\n", f.Written)
		return err
	})
}

// gate holds callers up between two cycles: each cycle is done with its read lock held.
type gate struct{ sync.RWMutex }

// beside measures a new store while the callers wait, if that was asked for, and returns its rate.
func (g *gate) beside(s settings) (float64, error) {
	g.Lock()
	defer g.Unlock()
	length := s.Beside
	s.For, s.Slices, s.Beside = length, 1, 0
	s.Dir = filepath.Join(s.Dir, "new")
	if err := os.Mkdir(s.Dir, 0o700); err != nil {
		return 0, err
	}
	defer os.RemoveAll(s.Dir)
	f, err := child(s, os.Stderr)
	return f.PerSecond, err
}
