package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"
)

// bench makes the tables.
type bench struct {
	dir    string
	length time.Duration
	count  int
	out    io.Writer
	log    io.Writer
	runs   int
}

var engines = []string{"hotlog", "pebble", "bare"}

// measure runs one child process in a directory of its own.
func (b *bench) measure(s settings) (figures, error) {
	b.runs++
	s.Dir = filepath.Join(b.dir, fmt.Sprint(b.runs))
	if err := os.Mkdir(s.Dir, 0o700); err != nil {
		return figures{}, err
	}
	defer os.RemoveAll(s.Dir)
	fmt.Fprintf(b.log, "%s: %d callers, %d a call, backlog %d\n", s.Engine, s.Callers, s.PerCall, s.Backlog)
	return child(s, b.log)
}

// child measures in a process of its own.
func child(s settings, log io.Writer) (f figures, err error) {
	text, err := json.Marshal(s)
	if err != nil {
		return f, err
	}
	self, err := os.Executable()
	if err != nil {
		return f, err
	}
	cmd := exec.Command(self, "-child", string(text))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, log
	if err := cmd.Run(); err != nil {
		return f, fmt.Errorf("%s: %w", s.Engine, err)
	}
	return f, json.Unmarshal(out.Bytes(), &f)
}

// interleaved measures all engines in turn, count times, and returns the median of each by its rate.
func (b *bench) interleaved(s settings, names []string) (map[string]figures, error) {
	all := make(map[string][]figures)
	for range b.count {
		for _, name := range names {
			s.Engine = name
			f, err := b.measure(s)
			if err != nil {
				return nil, err
			}
			all[name] = append(all[name], f)
		}
	}
	medians := make(map[string]figures)
	for name, list := range all {
		slices.SortFunc(list, func(x, y figures) int {
			switch {
			case x.PerSecond < y.PerSecond:
				return -1
			case x.PerSecond > y.PerSecond:
				return 1
			}
			return 0
		})
		medians[name] = list[len(list)/2]
	}
	return medians, nil
}

func (b *bench) settings(callers, perCall, backlog int) settings {
	return settings{Callers: callers, PerCall: perCall, Payload: 256, Recipients: 100_000, Backlog: backlog, For: b.length}
}

const cycleHead = "engine\tcallers\ta call\tbacklog\tcycles/s\ttimes pebble\tof bare log\tenqueue p50 ms\tp99 ms\tCPU us\twritten/payload\tMB\n"

func (b *bench) table(title, head string, rows func(w io.Writer) error) error {
	fmt.Fprintf(b.out, "\n%s\n\n", title)
	w := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, head)
	if err := rows(w); err != nil {
		return err
	}
	return w.Flush()
}

func (b *bench) rows(w io.Writer, s settings, names []string) error {
	found, err := b.interleaved(s, names)
	if err != nil {
		return err
	}
	for _, name := range names {
		f := found[name]
		of := func(other string) string {
			o, ok := found[other]
			if !ok || other == name || name == "bare" {
				return "-"
			}
			return fmt.Sprintf("%.2f", f.PerSecond/o.PerSecond)
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%.0f\t%s\t%s\t%.2f\t%.2f\t%.1f\t%.2f\t%.0f\n", name, s.Callers, s.PerCall, s.Backlog, f.PerSecond, of("pebble"), of("bare"),
			f.P50, f.P99, f.CPU, f.Written, f.Memory)
	}
	return nil
}

func (b *bench) cycles() error {
	title := fmt.Sprintf("Cycles: durable enqueue of 256 bytes, read, acknowledge, over 100,000 recipients. Medians of %d runs of %v, engines in turn.\n"+
		"The bare log writes what a cycle must write, and does nothing else.", b.count, b.length)
	return b.table(title, cycleHead, func(w io.Writer) error {
		for _, perCall := range []int{1, 64} {
			for _, n := range []int{1, 16, 256, 4096} {
				if err := b.rows(w, b.settings(n, perCall, 0), engines); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// manyMessages is the backlog from which on it takes so long to fill that one measurement must do.
const manyMessages = 5_000_000

func (b *bench) backlogs(list []int) error {
	return b.table("The same while so many messages lie in other queues. From 5,000,000 on single runs.", cycleHead, func(w io.Writer) error {
		for _, n := range list {
			one := *b
			if n >= manyMessages {
				one.count = 1
			}
			if err := one.rows(w, one.settings(256, 1, n), engines[:2]); err != nil {
				return err
			}
			b.runs = one.runs
		}
		return nil
	})
}

func (b *bench) recovery(list []int) error {
	title := "Opening after a crash: the process ended with all of it queued, and all of it is counted afterwards."
	return b.table(title, "engine\tqueued\tready after s\tMB then\n", func(w io.Writer) error {
		for _, n := range list {
			for _, name := range engines[:2] {
				f, err := b.recover(name, n)
				if err != nil {
					return err
				}
				fmt.Fprintf(w, "%s\t%d\t%.2f\t%.0f\n", name, f.Queued, f.Open, f.Memory)
			}
		}
		return nil
	})
}

// recover fills a store in one process, which ends without closing it, and opens it in another.
func (b *bench) recover(name string, n int) (f figures, err error) {
	b.runs++
	s := b.settings(1, 1, n)
	s.Engine, s.Recover, s.Dir = name, true, filepath.Join(b.dir, fmt.Sprint(b.runs))
	if err := os.Mkdir(s.Dir, 0o700); err != nil {
		return f, err
	}
	fmt.Fprintf(b.log, "%s: opening with %d\n", name, n)
	if _, err := child(s, b.log); err != nil {
		return f, err
	}
	if f, err = child(s, b.log); err != nil {
		return f, err
	}
	return f, os.RemoveAll(s.Dir)
}
