package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/pprof"
	"sync"
	"time"
)

// profiles writes CPU profiles of the measured time: of this process, and of the daemon.
type profiles struct {
	cfg    *Config
	server *server

	own    *os.File // nil: none is asked for
	daemon *os.File
	stop   context.CancelFunc // of what the daemon's profile waits for
	wg     sync.WaitGroup
	err    error
}

// openProfiles makes the files, so that a path that cannot be written ends the run before it begins.
func openProfiles(cfg *Config, s *server) (p *profiles, err error) {
	p = &profiles{cfg: cfg, server: s}
	if cfg.CPUProfile != "" {
		if p.own, err = os.Create(cfg.CPUProfile); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrConfig, err)
		}
	}
	if cfg.DaemonCPUProfile != "" {
		if p.daemon, err = os.Create(cfg.DaemonCPUProfile); err != nil {
			return nil, errors.Join(fmt.Errorf("%w: %w", ErrConfig, err), p.close())
		}
	}
	return p, nil
}

// begin is called when the measured time begins. A profile has whole seconds.
func (p *profiles) begin() {
	if p == nil {
		return
	}
	if p.own != nil {
		p.err = pprof.StartCPUProfile(p.own)
	}
	if p.daemon == nil {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	p.wg.Go(func() {
		path := fmt.Sprintf("/debug/pprof/profile?seconds=%d", max(1, int(p.cfg.Duration.Seconds())))
		if err := p.server.ask(ctx, path, p.daemon); err != nil {
			p.err = errors.Join(p.err, fmt.Errorf("the daemon's profile: %w", err))
		}
	})
}

// end is called when the measured time ends.
func (p *profiles) end() {
	if p == nil {
		return
	}
	if p.own != nil {
		pprof.StopCPUProfile()
	}
	if p.stop != nil {
		late := time.AfterFunc(profileGrace, p.stop)
		p.wg.Wait()
		late.Stop()
		p.stop()
	}
}

// profileGrace is how much longer than the measured time the daemon's profile may take. A run that was broken off does not wait for the rest.
const profileGrace = 10 * time.Second

// close closes the files.
func (p *profiles) close() error {
	for _, f := range []*os.File{p.own, p.daemon} {
		if f != nil {
			p.err = errors.Join(p.err, f.Close())
		}
	}
	return p.err
}
