package report

import (
	"fmt"
	"html/template"
	"math"
	"strings"

	"quicnprotochat/load"
)

const heatColumns = 240 // at most; intervals are put together to have no more

// heatMap shows how many latencies of each size there were in each part of the run. It is empty for a run that has none.
func heatMap(title string, intervals []load.Interval) template.HTML {
	columns, end := heatColumnsOf(intervals)
	low, high, most := math.MaxInt, 0, int64(0)
	for _, c := range columns {
		for i, n := range c.counts {
			if n > 0 {
				low, high, most = min(low, i), max(high, i), max(most, n)
			}
		}
	}
	if most == 0 || end <= 0 {
		return ""
	}
	rows := high - low + 1
	var b strings.Builder
	begin(&b, title, "ms")
	var ys []tick
	for i := low; i <= high+1; i += 1 + rows/8 {
		ys = append(ys, tick{float64(i-low) / float64(rows), short(math.Exp2(float64(i-1)) / 1000)})
	}
	frame(&b, axis{low: 0, high: end}.ticks(), ys, "s")
	tall := float64(plotHeight) / float64(rows)
	for _, c := range columns {
		x, w := left+c.from/end*plotWidth, (c.to-c.from)/end*plotWidth
		for i, n := range c.counts {
			if n == 0 {
				continue
			}
			y := top + float64(high-i)*tall
			fmt.Fprintf(&b, `<rect class="hot" x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill-opacity="%.2f"><title>%.4g s, up to %s ms: %d</title></rect>`,
				x, y, w+0.2, tall, 0.08+0.92*math.Log1p(float64(n))/math.Log1p(float64(most)), c.to, short(math.Exp2(float64(i))/1000), n)
		}
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) // numbers and escaped text only
}

type heatColumn struct {
	from, to float64
	counts   []int64
}

func heatColumnsOf(intervals []load.Interval) (out []heatColumn, end float64) {
	step := 1 + (len(intervals)-1)/heatColumns
	for i, iv := range intervals {
		if i%step == 0 {
			out = append(out, heatColumn{from: max(0, iv.T-iv.Seconds)})
		}
		c := &out[len(out)-1]
		c.to, end = iv.T, max(end, iv.T)
		for k, n := range iv.Heat {
			for len(c.counts) <= k {
				c.counts = append(c.counts, 0)
			}
			c.counts[k] += n
		}
	}
	return out, end
}
