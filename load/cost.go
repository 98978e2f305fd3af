package load

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// A Cost is what the kernel says of a process: totals since its start, but for the memory and the disk.
type Cost struct {
	PID        int     `json:"pid"`
	CPU        float64 `json:"cpu_s"`
	RSS        int64   `json:"rss"`
	Peak       int64   `json:"rss_peak"`
	Threads    int64   `json:"threads"`
	Voluntary  int64   `json:"switches"`    // the process waited
	Forced     int64   `json:"preemptions"` // it was made to
	ReadBytes  int64   `json:"read_bytes"`  // from disk; -1, and so the next three: not known
	WriteBytes int64   `json:"write_bytes"` // as the kernel counts what will go to disk: of a few bytes in a large page of the cache the whole page, some 1 MiB
	Writes     int64   `json:"write_calls"` // of any kind, network included where it uses write
	Written    int64   `json:"written"`     // bytes of these: QUIC's packets are sent by other calls and are not in it
	Flushes    int64   `json:"flushes"`     // of the whole disk under the data directory; -1: not known
	Disk       int64   `json:"disk"`        // what the data directory takes; -1: not known
	OK         bool    `json:"known"`       // false: there is no such process, or no /proc
}

// ticks is the unit of CPU time in /proc/PID/stat: 1/100 s on each Linux that Go runs on.
const ticks = 100

// readCost reads the cost of a process; disk says to add up the files of its data directory, too.
func readCost(pid int, data string, disk bool) (c Cost) {
	c.PID, c.Flushes, c.Disk = pid, -1, -1
	if pid == 0 {
		return c
	}
	proc := fmt.Sprintf("/proc/%d/", pid)
	stat, err := os.ReadFile(proc + "stat")
	if err != nil {
		return c
	}
	// Fields after the name, which may hold anything: state is the 3rd of all, utime and stime the 14th and 15th, threads the 20th.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 18 {
		return c
	}
	c.CPU = float64(number(fields[11])+number(fields[12])) / ticks
	c.Threads = number(fields[17])
	status := pairs(proc + "status")
	c.RSS, c.Peak = status["VmRSS"]<<10, status["VmHWM"]<<10
	tasks, _ := filepath.Glob(proc + "task/*/status")
	for _, t := range tasks {
		p := pairs(t)
		c.Voluntary += p["voluntary_ctxt_switches"]
		c.Forced += p["nonvoluntary_ctxt_switches"]
	}
	c.ReadBytes, c.WriteBytes, c.Writes, c.Written = -1, -1, -1, -1
	if io := pairs(proc + "io"); len(io) > 0 { // of another user's process it is not told
		c.ReadBytes, c.WriteBytes, c.Writes, c.Written = io["read_bytes"], io["write_bytes"], io["syscw"], io["wchar"]
	}
	if data != "" {
		c.Flushes = flushes(data)
	}
	if data != "" && disk {
		c.Disk = diskUse(data)
	}
	c.OK = true
	return c
}

func number(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

// pairs reads a file of lines "name: number".
func pairs(path string) map[string]int64 {
	text, _ := os.ReadFile(path)
	out := make(map[string]int64)
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, ":")
		if f := strings.Fields(rest); len(f) > 0 {
			out[name] = number(f[0])
		}
	}
	return out
}

// flushes is how often the disk under a directory was told to flush its cache (Documentation/admin-guide/iostats.rst, field 16). It is the disk's, not
// the process's: on a quiet machine, that is the daemon's fsyncs.
func flushes(dir string) int64 {
	var st syscall.Stat_t
	if syscall.Stat(dir, &st) != nil {
		return -1
	}
	major, minor := st.Dev>>8&0xfff, st.Dev&0xff|st.Dev>>12&0xfff00
	text, _ := os.ReadFile("/proc/diskstats")
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) >= 20 && f[0] == strconv.FormatUint(major, 10) && f[1] == strconv.FormatUint(minor, 10) {
			return number(f[18])
		}
	}
	return -1
}

// diskUse is what the files of a directory take; -1: it cannot be read.
func diskUse(dir string) (n int64) {
	if _, err := os.ReadDir(dir); err != nil {
		return -1
	}
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil // files come and go
		}
		if info, err := e.Info(); err == nil {
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				n += st.Blocks * 512
			}
		}
		return nil
	})
	return n
}

// minus is what was spent between an earlier cost and c.
func (c Cost) minus(e Cost) Cost {
	d := c
	d.CPU -= e.CPU
	d.Voluntary -= e.Voluntary
	d.Forced -= e.Forced
	if c.Written >= 0 && e.Written >= 0 {
		d.ReadBytes -= e.ReadBytes
		d.WriteBytes -= e.WriteBytes
		d.Writes -= e.Writes
		d.Written -= e.Written
	} else { // what was spent before is in a total that came to be known only now
		d.ReadBytes, d.WriteBytes, d.Writes, d.Written = -1, -1, -1, -1
	}
	if c.Flushes >= 0 && e.Flushes >= 0 {
		d.Flushes -= e.Flushes
	} else {
		d.Flushes = -1
	}
	d.OK = c.OK && e.OK && c.PID == e.PID // another process after a restart
	return d
}
