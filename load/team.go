package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"time"
)

// A Team says which other processes share a run. This one always has a part of its own.
type Team struct {
	Addrs     []string // of workers that listen
	Token     string   // which they know
	Processes int      // on this machine in all; those beside this one are started. 0 and 1: this one
	Worker    []string // the command that starts one, which speaks over its standard input and output
}

const maxWorkers = 256

func (t *Team) check() error {
	n := t.size()
	switch {
	case t.Processes < 0 || n > maxWorkers:
		return fmt.Errorf("%w: %d processes, at most %d", ErrConfig, n, maxWorkers)
	case t.Processes > 1 && len(t.Worker) == 0:
		return fmt.Errorf("%w: no program for more processes", ErrConfig)
	case len(t.Addrs) > 0:
		return CheckToken(t.Token)
	}
	return nil
}

// size is how many processes there are in all.
func (t *Team) size() int { return max(1, t.Processes) + len(t.Addrs) }

// A peer is another process of the run, as the one that leads it sees it.
type peer struct {
	name   string
	t      *talk
	close  func() error
	offset time.Duration // of its clock to ours
	lines  chan dispatch // all but samples
	gone   chan struct{} // closed when it says no more
	why    error         // then

	mu    sync.Mutex
	take  func(sample)
	abort func(error)
	short *part // of a run that did not come to its end
}

// call starts and calls the other processes.
func (t *Team) call(ctx context.Context) (peers []*peer, err error) {
	defer func() {
		if err != nil {
			hangUpPeers(peers)
			peers = nil
		}
	}()
	for i := 1; i < t.Processes; i++ {
		p, err := t.spawn(i)
		if err != nil {
			return peers, err
		}
		peers = append(peers, p)
	}
	for _, addr := range t.Addrs {
		p, err := t.dial(ctx, addr)
		if err != nil {
			return peers, fmt.Errorf("%w: worker %s: %w", ErrConfig, addr, err)
		}
		peers = append(peers, p)
	}
	for _, p := range peers {
		go p.listen()
	}
	return peers, nil
}

// spawn starts a worker. It ends when we close its standard input, and so also when we end, however that is.
func (t *Team) spawn(i int) (*peer, error) {
	cmd := exec.Command(t.Worker[0], t.Worker[1:]...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w: worker: %w", ErrConfig, err)
	}
	return newPeer(fmt.Sprintf("process %d", i), pipes{out, in}, func() error {
		_ = in.Close()
		return cmd.Wait()
	}), nil
}

type pipes struct {
	io.Reader
	io.Writer
}

// maxOffset is how far a worker's clock may be off: a run begins and ends at the same time everywhere.
const maxOffset = 5 * time.Millisecond

func (t *Team) dial(ctx context.Context, addr string) (p *peer, err error) {
	d := net.Dialer{Timeout: greetingTime}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = conn.Close()
		}
	}()
	_ = conn.SetDeadline(time.Now().Add(2 * greetingTime))
	p = newPeer(addr, conn, conn.Close)
	c, err := p.t.want(typeChallenge, maxGreeting)
	if err != nil {
		return nil, err
	}
	if c.Protocol != workerProtocol {
		return nil, fmt.Errorf("%w: it speaks version %d, we %d", errProtocol, c.Protocol, workerProtocol)
	}
	if err := p.t.send(dispatch{Type: typeAnswer, MAC: prove(t.Token, c.Nonce)}); err != nil {
		return nil, err
	}
	if _, err := p.t.want(typeWelcome, maxGreeting); err != nil {
		return nil, err
	}
	if err := p.compareClocks(); err != nil {
		return nil, err
	}
	if p.offset.Abs() > maxOffset {
		return nil, fmt.Errorf("its clock is off by %v, at most %v are taken", p.offset, maxOffset)
	}
	return p, conn.SetDeadline(time.Time{})
}

const clockRounds = 16

// compareClocks takes the quickest of some questions for the time: half of its round trip bounds the error. A difference that is no larger is none, as on one machine. An
// address says nothing of that: it may be the end of a tunnel.
func (p *peer) compareClocks() error {
	quickest := int64(1) << 62
	for range clockRounds {
		asked := now()
		if err := p.t.send(dispatch{Type: typeClock}); err != nil {
			return err
		}
		d, err := p.t.want(typeClock, maxGreeting)
		if err != nil {
			return err
		}
		if answered := now(); answered-asked < quickest {
			quickest = answered - asked
			p.offset = time.Duration(d.At - asked - quickest/2)
		}
	}
	if p.offset.Abs() <= time.Duration(quickest/2) {
		p.offset = 0
	}
	return nil
}

func newPeer(name string, rw io.ReadWriter, close func() error) *peer {
	return &peer{name: name, t: newTalk(rw), close: close, lines: make(chan dispatch, 4), gone: make(chan struct{})}
}

// listen takes what the worker says until it goes.
func (p *peer) listen() {
	defer close(p.gone)
	for {
		d, err := p.t.receive(maxLine)
		if err == io.EOF {
			err = errors.New("it is gone")
		}
		if err != nil {
			p.fail(err)
			return
		}
		switch d.Type {
		case typeSample:
			p.mu.Lock()
			take := p.take
			p.mu.Unlock()
			if take != nil {
				take(d.Sample.sample())
			}
			continue
		case typeFailed:
			p.fail(errors.New(d.Error))
			return
		case typePart:
			if d.Part.Aborted != "" {
				p.mu.Lock()
				p.short = d.Part
				p.mu.Unlock()
				p.fail(errors.New(d.Part.Aborted))
				return
			}
		}
		select {
		case p.lines <- d:
		default:
			p.fail(fmt.Errorf("%w: %q that nobody waits for", errProtocol, d.Type))
			return
		}
	}
}

// fail ends the run that is under way.
func (p *peer) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.why = fmt.Errorf("worker %s: %w", p.name, err)
	if p.abort != nil {
		p.abort(p.why)
	}
}

// begin has the worker take its part.
func (p *peer) begin(cfg Config, take func(sample), abort func(error)) error {
	p.mu.Lock()
	p.take, p.abort = take, abort
	if p.why != nil {
		abort(p.why)
	}
	p.mu.Unlock()
	cfg = cfg.forWorker()
	if err := p.t.send(dispatch{Type: typeRun, Config: &cfg}); err != nil {
		return fmt.Errorf("worker %s: %w", p.name, err)
	}
	return nil
}

// next waits for the worker to say something.
func (p *peer) next(ctx context.Context, kind string) (dispatch, error) {
	select {
	case d := <-p.lines:
		if d.Type != kind {
			return d, fmt.Errorf("worker %s: %w: %q in place of %q", p.name, errProtocol, d.Type, kind)
		}
		return d, nil
	case <-p.gone:
		return dispatch{}, p.why
	case <-ctx.Done():
		return dispatch{}, context.Cause(ctx)
	}
}

// parting is how long a worker may take to say what it found until the run was called off.
const parting = 5 * time.Second

// callOff ends a worker's part of a run that has ended here, and waits until it has said what it found, or ctx is over.
func (p *peer) callOff(ctx context.Context) {
	if p.t.send(dispatch{Type: typeAbort}) != nil {
		return
	}
	for {
		select {
		case d := <-p.lines:
			if d.Type == typePart { // it had come to its end
				p.mu.Lock()
				p.short = d.Part
				p.mu.Unlock()
				return
			}
		case <-p.gone:
			return
		case <-ctx.Done():
			return
		}
	}
}

// found is what a worker has found until the run was called off, or it could not go on; nil: it did not say.
func (p *peer) found() *part {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.short
}

func hangUpPeers(peers []*peer) {
	for _, p := range peers {
		_ = p.close()
	}
}
