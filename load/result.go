package load

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A Summary is a distribution of latencies, milliseconds.
type Summary struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
	// Curve is the whole of it, for the report: each point is a percentile and its latency.
	Curve [][2]float64 `json:"curve,omitempty"`
	// Histogram is the whole of it, for other programs: HdrHistogram's V2 compressed encoding of microseconds, in base64.
	Histogram string `json:"hdr,omitempty"`
}

func summarize(h *hdrhistogram.Histogram, whole bool) Summary {
	ms := func(us int64) float64 { return float64(us) / 1000 }
	s := Summary{
		Count: h.TotalCount(), Mean: h.Mean() / 1000, P50: ms(h.ValueAtQuantile(50)), P90: ms(h.ValueAtQuantile(90)), P99: ms(h.ValueAtQuantile(99)),
		P999: ms(h.ValueAtQuantile(99.9)), Max: ms(h.Max()),
	}
	if whole {
		for _, b := range h.CumulativeDistribution() {
			s.Curve = append(s.Curve, [2]float64{b.Quantile, ms(b.ValueAt)})
		}
		if b, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase); err == nil {
			s.Histogram = string(b)
		}
	}
	return s
}

// An Interval is what happened in a part of the run.
type Interval struct {
	Type      string             `json:"type"` // "interval"
	T         float64            `json:"t"`    // seconds since the begin, at its end
	Seconds   float64            `json:"seconds"`
	Phase     string             `json:"phase"` // warmup, measured or drain
	Sent      uint64             `json:"sent"`
	Stored    uint64             `json:"stored"`
	Delivered uint64             `json:"delivered"`
	Ops       uint64             `json:"ops,omitempty"`
	Stages    map[string]Summary `json:"stages,omitempty"`
	// Heat counts the main stage's latencies: of those from 2^(i-1) to 2^i microseconds the i-th.
	Heat []int64 `json:"heat,omitempty"`
	CPU  float64 `json:"cpu"` // cores that the daemon used; below 0: not known
	RSS  int64   `json:"rss"`
	// Of a soak's daemon; absent while it is away.
	Goroutines int   `json:"goroutines,omitempty"`
	Disk       int64 `json:"disk,omitempty"`
}

// A Result is a run, and what came of it.
type Result struct {
	Type    string    `json:"type"` // "result"
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Config  Config    `json:"config"`

	Seconds     float64            `json:"seconds"` // measured
	Sent        uint64             `json:"sent"`    // in all, as the four that follow
	Stored      uint64             `json:"stored"`
	Delivered   uint64             `json:"delivered"`
	Refused     uint64             `json:"refused"`
	Redelivered uint64             `json:"redelivered"`
	Refusals    map[string]uint64  `json:"refusals,omitempty"`
	StoredPS    float64            `json:"stored_per_s"` // in the measured time
	DeliveredPS float64            `json:"delivered_per_s"`
	PayloadPS   float64            `json:"payload_per_s"` // bytes delivered
	OpsPS       float64            `json:"ops_per_s,omitempty"`
	Stages      map[string]Summary `json:"stages"`

	Cost       Cost               `json:"cost"`           // of the daemon in the measured time
	CPUMicros  float64            `json:"cpu_us_per_msg"` // of the daemon, per message delivered (or operation); below 0: not known
	ClientCPU  float64            `json:"client_cpu_s"`   // of this process in the measured time
	WireOut    uint64             `json:"wire_to_server"` // bytes of QUIC packets, as the clients count them, in the whole run
	WireIn     uint64             `json:"wire_from_server"`
	Values     map[string]float64 `json:"values,omitempty"` // the scenario's own
	Intervals  []Interval         `json:"intervals,omitempty"`
	Search     []Step             `json:"search,omitempty"` // the steps that led to this rate
	Violations int                `json:"violations"`
	Told       []string           `json:"violation_texts,omitempty"`
	Aborted    string             `json:"aborted,omitempty"`
}

// OK says that the run came to its end and broke no rule.
func (r *Result) OK() bool { return r.Violations == 0 && r.Aborted == "" }

// ReadResult reads the last result in a file of JSON lines, or a file that holds nothing else.
func ReadResult(path string) (*Result, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var found *Result
	for dec := json.NewDecoder(f); ; {
		var r Result
		if err := dec.Decode(&r); err == io.EOF {
			break
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if r.Type == "result" {
			found = &r
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%w: %s holds no result", ErrConfig, path)
	}
	return found, nil
}
