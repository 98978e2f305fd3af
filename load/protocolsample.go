package load

// wireSample is a sample as it travels: of each histogram the bars that are not empty, as pairs of microseconds and count.
type wireSample struct {
	At     int64                `json:"at"`
	Counts [4]uint64            `json:"counts"`
	Bars   [stages]([][2]int64) `json:"bars"`
}

func (s sample) toWire() *wireSample {
	w := &wireSample{At: s.at, Counts: s.counts}
	for i, h := range s.hist {
		if h == nil {
			continue
		}
		for _, b := range h.Distribution() {
			if b.Count > 0 {
				w.Bars[i] = append(w.Bars[i], [2]int64{b.From, b.Count})
			}
		}
	}
	return w
}

const (
	maxBars  = 100_000 // more than a histogram has
	maxCount = 1 << 48
)

func (w *wireSample) valid() bool {
	if w.At < 0 {
		return false
	}
	for _, bars := range w.Bars {
		if len(bars) > maxBars {
			return false
		}
		for _, b := range bars {
			if b[0] < 0 || b[0] > highest || b[1] < 1 || b[1] > maxCount {
				return false
			}
		}
	}
	return true
}

func (w *wireSample) sample() sample {
	s := sample{at: w.At, counts: w.Counts}
	for i, bars := range w.Bars {
		if len(bars) == 0 {
			continue
		}
		h := newHistogram()
		for _, b := range bars {
			_ = h.RecordValues(b[0], b[1]) // valid has looked at the range
		}
		s.hist[i] = h
	}
	return s
}
