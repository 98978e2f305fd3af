package load

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"quicnprotochat/client"
)

func init() {
	register("soak", &scenario{run: soak, main: Received, about: "churn for long, with kills of the daemon and lost datagrams; memory, goroutines and disk are watched"})
}

// soak is churn while the daemon is watched, and killed and started again now and then.
func soak(ctx context.Context, r *run) error {
	r.cfg.Drain = max(r.cfg.Drain, quiet)
	w := &watch{r: r, server: r.server, values: make(map[string]float64)}
	if err := w.begin(ctx); err != nil {
		return err
	}
	err := r.churning(ctx, &aside{during: w.during, after: w.after})
	if err == nil {
		err = w.end(ctx) // all clients have hung up by now
	}
	for name, v := range w.values {
		r.value(name, v)
	}
	return err
}

// aside is what is done besides churn: while there is traffic, and after it, before the clients hang up.
type aside struct {
	during func(ctx context.Context) error
	after  func(ctx context.Context, p *party) error
}

// watch is what a soak knows of the daemon.
type watch struct {
	r      *run
	server *server
	values map[string]float64
}

const (
	mebi = 1 << 20
	// quiet is how long either side may take to notice that the other is gone: a client's farewell may be lost, and then the daemon waits for its idle timeout.
	quiet = 2 * time.Minute
)

func (w *watch) begin(ctx context.Context) error {
	if w.server == nil || w.server.debugSocket() == "" {
		return fmt.Errorf("%w: soak watches a daemon that it has started", ErrConfig)
	}
	return w.mark(ctx, "begin")
}

// mark notes the daemon's size after a collection of garbage.
func (w *watch) mark(ctx context.Context, name string) error {
	st, err := w.server.stats(ctx, true)
	if err != nil {
		return fmt.Errorf("the daemon's numbers: %w", err)
	}
	cost := readCost(w.server.process(), w.server.data, true)
	w.values["goroutines_"+name] = float64(st.Goroutines)
	w.values["heap_mib_"+name] = float64(st.HeapAlloc) / mebi // not HeapInuse: where few objects live, that is what garbage of before has scattered them over
	w.values["spans_mib_"+name] = float64(st.HeapInuse) / mebi
	w.values["rss_mib_"+name] = float64(cost.RSS) / mebi
	w.values["disk_mib_"+name] = float64(cost.Disk) / mebi
	return nil
}

// during kills the daemon and watches it, in turn, until ctx is over. That it ends by itself is for whoever began the run to find.
func (w *watch) during(ctx context.Context) error {
	marks := []struct {
		name string
		at   int64
	}{
		{"first_tenth", w.at(0.1)}, {"middle", w.at(0.5)},
	}
	tick := time.NewTicker(w.r.cfg.Interval)
	defer tick.Stop()
	var kill <-chan time.Time
	if w.r.cfg.Restarts > 0 {
		t := time.NewTicker(w.r.cfg.Restarts)
		defer t.Stop()
		kill = t.C
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-kill:
			if err := w.restart(ctx); err != nil && ctx.Err() == nil {
				return err
			}
		case <-tick.C:
			w.sample()
			if len(marks) > 0 && now() >= marks[0].at {
				if err := w.mark(ctx, marks[0].name); err != nil && ctx.Err() == nil {
					return err
				}
				marks = marks[1:]
			}
		}
	}
}

// at is a part of the measured time.
func (w *watch) at(part float64) int64 {
	return w.r.from.Load() + int64(part*float64(w.r.cfg.Duration))
}

func (w *watch) sample() {
	cost := readCost(w.server.process(), w.server.data, true)
	w.most("rss_mib_most", float64(cost.RSS)/mebi)
	w.most("disk_mib_most", float64(cost.Disk)/mebi)
}

func (w *watch) most(name string, v float64) { w.values[name] = max(w.values[name], v) }

// restart kills the daemon and starts it again, at the same address. It does not stop halfway: the clients that are to finish need a daemon.
func (w *watch) restart(ctx context.Context) error {
	began := now()
	if err := w.server.end(syscall.SIGKILL); err != nil {
		return err
	}
	if err := w.server.again(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("after a kill: %w", err)
	}
	w.values["kills"]++
	w.most("ready_s_most", seconds(now()-began))
	return nil
}

// after counts what the service still holds for the members, who have all of it.
func (w *watch) after(ctx context.Context, p *party) error {
	for _, c := range p.groups {
		for _, m := range c.talk {
			var queues []client.QueueStatus
			err := m.link.retry(ctx, func(ctx context.Context, s *client.Session) (err error) {
				queues, err = s.Queues(ctx)
				return err
			})
			if err != nil {
				return err
			}
			for _, q := range queues {
				w.values["held_messages_end"] += float64(q.Messages)
				w.values["held_mib_end"] += float64(q.Bytes) / mebi
			}
		}
	}
	return nil
}

// end waits until the daemon has no connection left, and notes its size.
func (w *watch) end(ctx context.Context) error {
	limit, cancel := context.WithTimeoutCause(ctx, quiet, errors.New("the daemon holds on to connections of clients that are gone"))
	defer cancel()
	for {
		st, err := w.server.stats(limit, false)
		if err == nil && st.Transport.Connections == 0 {
			return w.mark(ctx, "end")
		}
		if err := rest(limit, time.Second/4); err != nil {
			return err
		}
	}
}

// size is what an interval tells of the daemon; zeros while it is away.
func (s *server) size() (goroutines int, disk int64) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	st, err := s.stats(ctx, false)
	if err != nil {
		return 0, 0
	}
	return st.Goroutines, max(0, diskUse(s.data))
}
