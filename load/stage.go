package load

import (
	"sync"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A Stage is a part of a message's way of which the time is measured, in microseconds.
type Stage int

const (
	Late      Stage = iota // from when it was meant to be sent until it was: the harness's own delay, and the wait for a call
	Stored                 // until the service had acknowledged it as stored
	Received               // until the receiver had it (with real MLS: decrypted)
	Acked                  // until the receiver had acknowledged it
	Handshake              // of a connection
	Drained                // from the begin of reading a queue until it was empty
	Commit                 // from a commit's begin until the service accepted it
	stages
)

var stageNames = [stages]string{"late", "stored", "received", "acked", "handshake", "drained", "commit"}

func (s Stage) String() string { return stageNames[s] }

// StageNames lists the stages in the order in which they are told.
func StageNames() []string { return stageNames[:] }

const (
	lowest  = 1           // microseconds
	highest = 300_000_000 // five minutes; longer counts as that
	digits  = 3

	shards = 8
)

// recorder gathers latencies of many goroutines. Those of different shards do not wait for each other.
type recorder struct {
	shards [shards]shard
}

type shard struct {
	mu   sync.Mutex
	hist [stages]*hdrhistogram.Histogram
	_    [64]byte // no two shards in one cache line
}

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(lowest, highest, digits) }

// record counts the nanoseconds since from at `at`, n times.
func (r *recorder) record(who int, s Stage, from, at int64, n int64) {
	us := max(lowest, min((at-from)/1000, highest))
	sh := &r.shards[who%shards]
	sh.mu.Lock()
	if sh.hist[s] == nil {
		sh.hist[s] = newHistogram()
	}
	_ = sh.hist[s].RecordValues(us, n)
	sh.mu.Unlock()
}

// take returns what was gathered since the last take; nil for a stage without any.
func (r *recorder) take() (out [stages]*hdrhistogram.Histogram) {
	for i := range r.shards {
		sh := &r.shards[i]
		sh.mu.Lock()
		for s, h := range sh.hist {
			if h == nil || h.TotalCount() == 0 {
				continue
			}
			if out[s] == nil {
				out[s] = newHistogram()
			}
			out[s].Merge(h)
			h.Reset()
		}
		sh.mu.Unlock()
	}
	return out
}
