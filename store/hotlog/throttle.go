package hotlog

import "time"

// lateness is how long the decider is held up when the log is much longer than it should be, unless the retirer comes a step further before.
const lateness = 20 * time.Millisecond

// retiring is an op of the retirer.
type retiring interface{ retires() }

func (o *takeOp) retires()      {}
func (o *movedOp) retires()     {}
func (o *forgetIDsOp) retires() {}

// throttle holds up what is stored while the retirer cannot follow: about two batches are let go for each of its steps. What is on its way to the disk lands meanwhile, and
// nothing holds the retirer's own ops up, or it would wait for itself.
func (d *decider) throttle(calls []*call) {
	r := d.s.retirer
	if !r.late.Load() {
		return
	}
	for _, c := range calls {
		if _, ok := c.op.(retiring); ok {
			return
		}
	}
	enough := time.NewTimer(lateness)
	defer enough.Stop()
	for {
		select {
		case <-r.step:
			return
		case err := <-d.sync.ended:
			d.land(err)
		case <-enough.C:
			return
		case <-d.s.fail.Failed():
			return
		}
	}
}
