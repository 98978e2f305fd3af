package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"text/tabwriter"
)

// report prints all tables, in Markdown.
func report(w io.Writer, m results, large bool) error {
	p := &printer{m: m}
	p.printf("%s %s/%s, %d processors, %s\n\n", "mls, suite 1 (X25519, AES-128-GCM, SHA-256, Ed25519):",
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	p.table(func() {
		p.line("primitive, one processor", "here", "where the peers were measured")
		for _, b := range baselines {
			reference := "-"
			if b.reference > 0 {
				reference = number(b.reference)
			}
			p.line(b.title, number(p.value(b.benchmark, b.unit)), reference)
		}
	})
	p.table(func() {
		p.line("row", "here", "best C++", "best Go peer", "times better than the best", "floor", "primitives here, one processor")
		for _, r := range rows {
			p.row(r)
		}
	})
	if large {
		p.table(p.largeTable)
		p.table(p.saveTable)
	}
	if p.err != nil {
		return p.err
	}
	_, err := io.WriteString(w, p.out.String())
	return err
}

// printer collects the report; a value that was not measured is an error.
type printer struct {
	m     results
	out   strings.Builder
	cells *tabwriter.Writer
	err   error
}

func (p *printer) printf(format string, args ...any) { fmt.Fprintf(&p.out, format, args...) }

func (p *printer) table(body func()) {
	p.cells = tabwriter.NewWriter(&p.out, 0, 0, 1, ' ', tabwriter.TabIndent)
	lines := p.out.Len()
	body()
	p.cells.Flush()
	// The second line of a Markdown table is a rule.
	text := p.out.String()
	table := text[lines:]
	head, rest, _ := strings.Cut(table, "\n")
	rule := strings.Map(func(r rune) rune {
		if r == '|' {
			return r
		}
		return '-'
	}, head)
	p.out.Reset()
	p.out.WriteString(text[:lines] + head + "\n" + rule + "\n" + rest + "\n")
}

func (p *printer) line(cells ...string) {
	fmt.Fprintf(p.cells, "| %s\t|\n", strings.Join(cells, "\t| "))
}

func (p *printer) value(name string, u unit) float64 {
	v, ok := p.m.median(name, u.from)
	if !ok && p.err == nil {
		p.err = fmt.Errorf("benchmark %s was not measured in %s", name, u.from)
	}
	if u.to != nil {
		v = u.to(v)
	}
	return v
}

func (p *printer) row(r row) {
	var here, better, needs []string
	for i, name := range r.benchmarks {
		v := p.value(name, r.unit)
		here = append(here, number(v))
		if r.other != nil {
			better = append(better, fmt.Sprintf("%.2f", times(v, r.cpp[i], r.other[i], r.unit.higher)))
		}
		if r.needs != nil {
			needs = append(needs, number(p.sum(r.needs[i], r.unit)))
		}
	}
	p.line(r.title, join(here), list(r.cpp), list(r.other), join(better), list(r.floor), join(needs))
}

// times says how often better v is than the best of the peers.
func times(v, cpp, other float64, higher bool) float64 {
	if higher {
		return v / max(cpp, other)
	}
	return min(cpp, other) / v
}

// sum is what the primitives of a row take here, in its unit.
func (p *printer) sum(n primitives, u unit) float64 {
	ns := func(name string) float64 { return p.value(name, unit{from: "ns/op"}) }
	return u.to(n.keygen*ns("Baseline/x25519-keygen") + n.dh*ns("Baseline/x25519") +
		n.sign*ns("Baseline/ed25519-sign") + n.verify*ns("Baseline/ed25519-verify"))
}

func (p *printer) largeTable() {
	p.line("operation, ms", "1,000 members", "5,000", "10,000", "growth 1,000 to 10,000")
	for _, r := range largeRows {
		var v [3]float64
		for i, n := range []string{"1000", "5000", "10000"} {
			v[i] = p.value(r.benchmark+"/"+n, ms)
		}
		p.line(r.title, number(v[0]), number(v[1]), number(v[2]), fmt.Sprintf("%.1f", v[2]/v[0]))
	}
}

func (p *printer) saveTable() {
	p.line("saving", "10 members", "1,000", "10,000")
	for _, r := range saveRows {
		cells := []string{r.title}
		for _, n := range []string{"10", "1000", "10000"} {
			name := r.benchmark + "/" + n
			cells = append(cells, fmt.Sprintf("%s us, %s records, %s B", number(p.value(name, us)),
				number(p.value(name, unit{from: "records/op"})), number(p.value(name, unit{from: "saved-B/op"}))))
		}
		p.line(cells...)
	}
}

// number prints three digits, or all before the point.
func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

func list(v []float64) string {
	var cells []string
	for _, x := range v {
		if x == 0 {
			cells = append(cells, "-")
		} else {
			cells = append(cells, number(x))
		}
	}
	return join(cells)
}

func join(cells []string) string {
	if len(cells) == 0 {
		return "-"
	}
	return strings.Join(cells, " / ")
}
