package sim

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/ds"
	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
	"quicnprotochat/store/hotlog"
)

// gate is a mutex that virtual time passes by: nobody moves on while a goroutine waits for a sync.Mutex whose owner sleeps.
type gate chan struct{}

func (g gate) Lock()   { g <- struct{}{} }
func (g gate) Unlock() { <-g }

// world is one history.
type world struct {
	t    *testing.T
	seed uint64
	oracle
	people []*person

	chance sync.Mutex
	r      *rand.Rand
	calm   bool // nothing breaks any more

	lock    gate // of what follows
	fs      *vfs.MemFS
	store   *hotlog.Store
	service *ds.Service
	crashes int
	ends    int             // in good order
	frames  atomic.Int64    // sent on SUBMIT streams
	atSync  int             // of these, in the middle of a sync
	calls   *sync.WaitGroup // under way

	machine sync.Mutex // of what follows; whoever has it does not sleep
	links   map[*link]bool
	points  *points
	left    *vfs.MemFS    // what the crash of this life left on disk
	struck  chan struct{} // closed by it
}

// rand is a number below n.
func (w *world) rand(n int) int {
	w.chance.Lock()
	defer w.chance.Unlock()
	return w.r.IntN(n)
}

// odds says whether something of one chance in n happens; never when all is calm.
func (w *world) odds(n int) bool {
	w.chance.Lock()
	defer w.chance.Unlock()
	return !w.calm && w.r.IntN(n) == 0
}

func (w *world) isCalm() bool {
	w.chance.Lock()
	defer w.chance.Unlock()
	return w.calm
}

// await waits for the end of what must not take long: nothing would go on without it.
func (w *world) await(done <-chan struct{}, what string) {
	select {
	case <-done:
	case <-time.After(time.Minute):
		panic(fmt.Sprintf("seed %d: the server does not end %s", w.seed, what))
	}
}

// delay waits for a random time, below most.
func (w *world) delay(most time.Duration) { time.Sleep(time.Duration(w.rand(int(most)))) }

func (w *world) options() hotlog.Options {
	return hotlog.Options{Dir: "store", FS: w.points, SegmentBytes: 64 << 10, LogBytes: 128 << 10, Owners: 64, Logger: slog.New(slog.DiscardHandler)}
}

// start opens the store and the service.
func (w *world) start() {
	w.machine.Lock()
	w.links, w.left, w.struck, w.points = make(map[*link]bool), nil, make(chan struct{}), &points{FS: w.fs, crash: w.strike, slow: func() { w.delay(10 * time.Millisecond) }}
	w.machine.Unlock()
	st, err := hotlog.Open(w.options())
	if err != nil {
		w.t.Fatalf("seed %d: open: %v", w.seed, err)
	}
	w.store, w.calls = st, new(sync.WaitGroup)
	w.service = ds.New(ds.Config{Store: st, Limits: ds.Limits{Idle: 5 * time.Second}})
}

// strike is the end of the machine: of what was not synced any part is lost. All connections break in that moment; what is answered on them later, nobody hears.
func (w *world) strike() {
	w.machine.Lock()
	defer w.machine.Unlock()
	if w.left != nil {
		return
	}
	for l := range w.links {
		l.dead.Store(true)
	}
	percent := []int{0, 50, 100}[w.rand(3)]
	w.left = w.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(w.seed, uint64(w.crashes)))})
	close(w.struck)
}

// crash has the machine end in one of its next syncs, or when nothing is under way, and starts it again.
func (w *world) crash() {
	if w.rand(4) > 0 {
		w.points.left.Store(1 + int64(w.rand(30)))
		select {
		case <-w.struck:
			w.atSync++
		case <-time.After(10 * time.Second):
		}
	}
	w.strike()
	w.lock.Lock()
	defer w.lock.Unlock()
	w.stop()
	w.fs = w.left
	w.crashes++
	w.start()
}

// stop ends the service and the store. w.lock is held.
func (w *world) stop() {
	w.machine.Lock()
	links := slices.Collect(maps.Keys(w.links))
	w.machine.Unlock()
	for _, l := range links {
		l.breakOff()
		w.service.Closed(l)
	}
	w.service.Close()
	over := make(chan struct{})
	go func(calls *sync.WaitGroup) {
		defer close(over)
		calls.Wait()
	}(w.calls)
	w.await(over, "its calls and streams")
	if err := w.store.Close(); err != nil {
		w.t.Errorf("seed %d: close: %v", w.seed, err)
	}
}

// restart ends the server in good order, and starts it again: all that came on SUBMIT streams is answered.
func (w *world) restart() {
	w.lock.Lock()
	defer w.lock.Unlock()
	if w.rand(2) == 0 {
		w.service.Close() // what comes from now on fails
	}
	w.machine.Lock()
	links := slices.Collect(maps.Keys(w.links))
	w.machine.Unlock()
	for _, l := range links {
		for _, s := range l.streams {
			s.end()
		}
	}
	w.stop()
	w.ends++
	w.start()
}

// connect makes a connection.
func (w *world) connect(peer quicrpc.Peer) (*link, schemas.DeliveryService) {
	w.lock.Lock()
	defer w.lock.Unlock()
	l := &link{w: w, peer: peer, pushes: make(chan *pipe, 64)}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.calls = w.calls
	w.machine.Lock()
	w.links[l] = true
	l.dead.Store(w.left != nil)
	w.machine.Unlock()
	return l, schemas.DeliveryService(w.service.Client(l, l.open))
}

// disconnect ends one.
func (w *world) disconnect(l *link) {
	l.breakOff()
	w.lock.Lock()
	service := w.service
	w.machine.Lock()
	delete(w.links, l)
	w.machine.Unlock()
	w.lock.Unlock()
	service.Closed(l)
}

// run lets people do what they do for a while, and then all of them hear everything.
func (w *world) run(people, groups int, length time.Duration) {
	w.fs, w.lock = vfs.NewCrashableMem(), make(gate, 1)
	w.start()
	for i := range people {
		w.people = append(w.people, newPerson(w, i))
	}
	for i := range groups {
		w.people[i%people].founds(fmt.Sprintf("group number %03d", i))
	}
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, p := range w.people {
		all.Go(func() { p.live(ctx) })
	}
	for end := time.Now().Add(length); time.Now().Before(end); {
		w.delay(length / 4)
		if w.rand(3) == 0 {
			w.restart()
		} else {
			w.crash()
		}
	}
	w.chance.Lock()
	w.calm = true
	w.chance.Unlock()
	time.Sleep(10 * time.Minute) // virtual: all that is under way ends, all that is stored arrives
	stop()
	all.Wait()
	w.lock.Lock()
	w.stop()
	w.lock.Unlock()
	for _, p := range w.people {
		if len(p.under) > 0 {
			w.t.Errorf("seed %d: person %d does not know what became of %s and %d others", w.seed, p.n, p.under[0].m.ID, len(p.under)-1)
		}
	}
	w.check(w)
}
