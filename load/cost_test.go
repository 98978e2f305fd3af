package load

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestUnknownCost: what the kernel does not tell is not nothing.
func TestUnknownCost(t *testing.T) {
	if n := diskUse(filepath.Join(t.TempDir(), "none")); n != -1 {
		t.Errorf("a directory that is not there takes %d bytes", n)
	}
	if n := diskUse(t.TempDir()); n < 0 {
		t.Errorf("an empty directory takes %d bytes", n)
	}
	own := readCost(os.Getpid(), t.TempDir(), true)
	if !own.OK || own.Written < 0 || own.Disk < 0 {
		t.Errorf("this process: %+v", own)
	}
	hidden := own
	hidden.ReadBytes, hidden.WriteBytes, hidden.Writes, hidden.Written = -1, -1, -1, -1
	hidden.Flushes = -1
	for _, of := range [][2]Cost{{hidden, hidden}, {own, hidden}, {hidden, own}} {
		if d := of[0].minus(of[1]); !d.OK || d.Written != -1 || d.ReadBytes != -1 || d.WriteBytes != -1 || d.Writes != -1 || d.Flushes != -1 {
			t.Errorf("the difference of what is not known: %+v", d)
		}
	}
	if d := own.minus(own); d.Written != 0 || d.Writes != 0 {
		t.Errorf("the difference of what is: %+v", d)
	}
}

// TestFirstInterval: what the daemon did before the run began is not told as of its first interval.
func TestFirstInterval(t *testing.T) {
	cfg := pretendConfig()
	a := newAggregate(&cfg, &server{pid: os.Getpid()}, Received, nil)
	before := cpuSelf()
	for cpuSelf()-before < 0.1 { // as while clients connect
	}
	a.begin()
	a.add(0, sample{at: int64(time.Second)})
	if len(a.intervals) != 1 || a.intervals[0].CPU < 0 || a.intervals[0].CPU > 0.05 {
		t.Errorf("%+v", a.intervals)
	}
}
