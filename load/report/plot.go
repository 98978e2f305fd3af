package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// A line is one series of a plot.
type line struct {
	name  string
	color int // of the palette
	x, y  []float64
}

func (l *line) add(x, y float64) { l.x, l.y = append(l.x, x), append(l.y, y) }

// A tick is a marked place of an axis.
type tick struct {
	at   float64 // as plotted
	text string
}

// A plot is drawn as SVG.
type plot struct {
	title  string
	xLabel string
	unit   string // of y
	logY   bool
	logX   bool
	xTicks []tick // nil: chosen
	dots   bool
	lines  []line
}

const (
	width, height                    = 760, 260
	left, right, top, bottom         = 64, 12, 30, 36
	plotWidth, plotHeight            = width - left - right, height - top - bottom
	palette                          = 8
	roughly                          = 6 // ticks of an axis
	longest                          = 2000
	smallestLog              float64 = 1e-3
)

// axis maps values to places.
type axis struct {
	low, high float64
	log       bool
}

func (a axis) scale(v float64) float64 {
	if a.log {
		v = math.Log10(max(v, smallestLog))
	}
	return (v - a.low) / (a.high - a.low)
}

// axisOf makes an axis that holds all the values.
func axisOf(values [][]float64, logarithmic, fromZero bool) axis {
	a := axis{low: math.Inf(1), high: math.Inf(-1), log: logarithmic}
	for _, vs := range values {
		for _, v := range vs {
			if logarithmic {
				v = math.Log10(max(v, smallestLog))
			}
			a.low, a.high = min(a.low, v), max(a.high, v)
		}
	}
	switch {
	case math.IsInf(a.low, 0):
		a.low, a.high = 0, 1
	case logarithmic:
		a.low, a.high = math.Floor(a.low), math.Ceil(a.high)
	case fromZero:
		a.low, a.high = min(0, a.low), a.high*1.05
	}
	if a.high <= a.low {
		a.high = a.low + 1
	}
	return a
}

func (a axis) ticks() (out []tick) {
	if a.log {
		step := math.Ceil((a.high - a.low) / roughly)
		for e := a.low; e <= a.high+1e-9 && len(out) < 4*roughly; e += max(step, 1) {
			out = append(out, tick{(e - a.low) / (a.high - a.low), short(math.Pow(10, e))})
		}
		return out
	}
	raw := (a.high - a.low) / roughly
	step := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5, 10} {
		if step*m >= raw {
			step *= m
			break
		}
	}
	for v := math.Ceil(a.low/step) * step; v <= a.high+step*1e-9 && len(out) < 4*roughly; v += step {
		out = append(out, tick{a.scale(v), short(v)})
	}
	return out
}

// short writes a number for people.
func short(v float64) string {
	switch abs := math.Abs(v); {
	case abs < 1e-12:
		return "0"
	case abs >= 1e9:
		return trim(v/1e9) + "G"
	case abs >= 1e6:
		return trim(v/1e6) + "M"
	case abs >= 1e4:
		return trim(v/1e3) + "k"
	default:
		return trim(v)
	}
}

func trim(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

// SVG draws the plot.
func (p *plot) SVG() template.HTML {
	var xs, ys [][]float64
	for _, l := range p.lines {
		xs, ys = append(xs, l.x), append(ys, l.y)
	}
	x, y := axisOf(xs, p.logX, false), axisOf(ys, p.logY, true)
	var b strings.Builder
	begin(&b, p.title, p.unit)
	marks := p.xTicks
	if marks == nil {
		marks = x.ticks()
	} else {
		for i := range marks {
			marks[i].at = x.scale(marks[i].at)
		}
	}
	frame(&b, marks, y.ticks(), p.xLabel)
	for i := range p.lines {
		p.draw(&b, &p.lines[i], x, y)
	}
	p.legend(&b)
	b.WriteString("</svg>")
	return template.HTML(b.String()) // all text in it was escaped
}

func begin(b *strings.Builder, title, unit string) {
	fmt.Fprintf(b, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, width, height, html.EscapeString(title))
	fmt.Fprintf(b, `<text class="title" x="%d" y="14">%s</text><text x="%d" y="%d" text-anchor="end">%s</text>`, left, html.EscapeString(title), left-6, 14, html.EscapeString(unit))
}

// frame draws the axes.
func frame(b *strings.Builder, xs, ys []tick, xLabel string) {
	for _, t := range ys {
		at := top + (1-t.at)*plotHeight
		fmt.Fprintf(b, `<path class="grid" d="M%d %.1fH%d"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`, left, at, width-right, left-6, at+4, html.EscapeString(t.text))
	}
	for _, t := range xs {
		if t.at < -1e-9 || t.at > 1+1e-9 {
			continue
		}
		at := left + t.at*plotWidth
		fmt.Fprintf(b, `<path class="grid" d="M%.1f %dV%d"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`, at, top, height-bottom, at, height-bottom+14, html.EscapeString(t.text))
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, width-right, height-6, html.EscapeString(xLabel))
}

// draw thins out a line of very many points: more than there are pixels cannot be seen.
func (p *plot) draw(b *strings.Builder, l *line, x, y axis) {
	step := 1 + len(l.x)/longest
	var d, dots strings.Builder
	for i := 0; i < len(l.x); i += step {
		px, py := left+x.scale(l.x[i])*plotWidth, top+(1-y.scale(l.y[i]))*plotHeight
		op := "L"
		if i == 0 {
			op = "M"
		}
		fmt.Fprintf(&d, "%s%.1f %.1f", op, px, py)
		if p.dots || len(l.x) == 1 {
			fmt.Fprintf(&dots, `<circle class="f%d" cx="%.1f" cy="%.1f" r="3"><title>%s: %s, %s</title></circle>`, l.color%palette, px, py, html.EscapeString(l.name), short(l.x[i]), short(l.y[i]))
		}
	}
	fmt.Fprintf(b, `<path class="line s%d" d="%s"><title>%s</title></path>%s`, l.color%palette, d.String(), html.EscapeString(l.name), dots.String())
}

func (p *plot) legend(b *strings.Builder) {
	if len(p.lines) < 2 {
		return
	}
	at := width - right
	for i := len(p.lines) - 1; i >= 0; i-- {
		l := &p.lines[i]
		at -= 7*len(l.name) + 26
		if at < left {
			return
		}
		fmt.Fprintf(b, `<rect class="f%d" x="%d" y="19" width="10" height="4"/><text x="%d" y="25">%s</text>`, l.color%palette, at, at+14, html.EscapeString(l.name))
	}
}
