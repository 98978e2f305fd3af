package main

import (
	"fmt"
	"io"
	"os"

	"quicnprotochat/load"
)

// progress tells intervals: on a terminal, in one line that is written over and over.
type progress struct {
	out      io.Writer
	terminal bool
	rates    []float64
	written  bool
}

// newProgress tells them to out, which is f.
func newProgress(out io.Writer, f *os.File) *progress {
	info, err := f.Stat()
	return &progress{out: out, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0 && f.Name() != os.DevNull && os.Getenv("TERM") != "dumb"}
}

const sparks = 20 // intervals that the sparkline shows

func (p *progress) show(iv load.Interval) {
	if !p.terminal {
		fmt.Fprintln(p.out, iv.Line())
		return
	}
	n := iv.Delivered
	if n == 0 {
		n = iv.Ops
	}
	if iv.Seconds > 0.01 { // the last one may be shorter, and its rate is chance
		p.rates = append(p.rates, float64(n)/iv.Seconds)
		p.rates = p.rates[max(0, len(p.rates)-sparks):]
	}
	p.written = true
	// Back to the first column, and erase what the last line leaves; without wrapping, so that a narrow terminal has one line, too.
	fmt.Fprintf(p.out, "\r\x1b[?7l%s %s\x1b[K\x1b[?7h", sparkline(p.rates), iv.Line())
}

// end goes to the next line.
func (p *progress) end() {
	if p.written {
		fmt.Fprintln(p.out)
	}
	p.written = false
}

// sparkline draws values in one line, from 0 to the highest.
func sparkline(values []float64) string {
	const levels = "▁▂▃▄▅▆▇█"
	marks := []rune(levels)
	highest := 0.0
	for _, v := range values {
		highest = max(highest, v)
	}
	out := make([]rune, len(values))
	for i, v := range values {
		k := 0
		if highest > 0 {
			k = min(int(max(v, 0)/highest*float64(len(marks))), len(marks)-1)
		}
		out[i] = marks[k]
	}
	return string(out)
}
