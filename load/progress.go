package load

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"quicnprotochat/schemas"
)

// progress tells how fast a known number of messages went, and whether the last of them were slower than the first.
type progress struct {
	total int
	start int64

	mu    sync.Mutex
	done  int
	marks []int64 // when each tenth was complete
}

func newProgress(total int) *progress { return &progress{total: total, start: now()} }

func (p *progress) add(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.done += n; len(p.marks) < 10 && p.done >= (len(p.marks)+1)*p.total/10; {
		p.marks = append(p.marks, now())
	}
}

// counts adds what send stores.
func (p *progress) counts(send transmit) transmit {
	return func(ctx context.Context, batch []message) (func() ([]outcome, error), error) {
		wait, err := send(ctx, batch)
		if err != nil {
			return nil, err
		}
		return func() ([]outcome, error) {
			out, err := wait()
			n := 0
			for _, o := range out {
				if o.status == schemas.EnqueueStatus_stored {
					n++
				}
			}
			p.add(n)
			return out, err
		}, nil
	}
}

// tell tells the rates: of all, of each tenth, and the second half's to the first's.
func (p *progress) tell(r *run, what, suffix string, cost Cost) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.marks) < 10 {
		return // refused, lost, or fewer than ten
	}
	r.value(what+"_per_s"+suffix, float64(p.done)/seconds(p.marks[9]-p.start))
	for i, from := 0, p.start; i < 10; i++ {
		n := (i+1)*p.total/10 - i*p.total/10
		r.value(fmt.Sprintf("%s_per_s%s/%02d", what, suffix, i+1), float64(n)/max(seconds(p.marks[i]-from), 1e-6))
		from = p.marks[i]
	}
	first, second := seconds(p.marks[4]-p.start), seconds(p.marks[9]-p.marks[4])
	r.value(what+"_second_half_to_first"+suffix, first/max(second, 1e-6))
	if cost.OK {
		r.value(what+"_cpu_us_each"+suffix, cost.CPU*1e6/float64(p.done))
	}
}

// bounded is a pace that ends when the messages that several senders share are used up.
type bounded struct {
	pace
	left   *atomic.Int64
	enough func()
}

// overdue: what is not sent was not meant to be.
func (b *bounded) overdue() int { return 0 }

func (b *bounded) next(ctx context.Context, limit int) []int64 {
	due := b.pace.next(ctx, limit)
	if over := -b.left.Add(-int64(len(due))); over > 0 {
		due = due[:max(0, len(due)-int(over))]
	}
	if b.left.Load() <= 0 {
		b.enough()
	}
	return due
}
