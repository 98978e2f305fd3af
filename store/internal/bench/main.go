// Command bench measures the store engines and prints tables: the engine of the daemon, the pebble-only one that it took the place of, and
// a bare log with group commit, in turn on the same disk. Every figure comes from a process of its own, so that processor time, memory and bytes
// written are that measurement's alone.
//
//	go run ./store/internal/bench [-dir DIR] [-seconds 5] [-count 3] [-backlog 1000000,10000000] [-slope 30m] [-only cycles,backlog,recover,slope]
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// settings are what one child process measures.
type settings struct {
	Engine     string        // hotlog, pebble, bare
	Callers    int           // goroutines, each waiting for its call
	PerCall    int           // messages a call
	Payload    int           // bytes
	Recipients int           // queues in turn
	Backlog    int           // messages that lie in other queues all the while
	For        time.Duration // of measuring
	Slices     int           // the time is cut into so many equal parts, each with its rate
	Beside     time.Duration // after each of them a new store is measured for so long
	Recover    bool          // in place of cycles: kill the process with the backlog in it, and time the opening
	Dir        string
}

func run(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var (
		dir     = flags.String("dir", "", "where to make a directory for the stores; the default is that of temporary files, and should be a disk")
		seconds = flags.Float64("seconds", 5, "length of a measurement")
		count   = flags.Int("count", 3, "measurements of each kind, of which the median counts")
		backlog = flags.String("backlog", "1000000,10000000", "messages of the large backlogs")
		slope   = flags.Duration("slope", 0, "length of the run that looks for a slope; 0 leaves it out")
		only    = flags.String("only", "cycles,backlog,recover,slope", "tables to make")
		child   = flags.String("child", "", "settings of one measurement, for the program itself")
	)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 0 {
		return fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	if *child != "" {
		return measureChild(*child, stdout)
	}
	if *count < 1 || *seconds <= 0 {
		return errors.New("-count and -seconds must be above 0")
	}
	backlogs, err := numbers(*backlog)
	if err != nil {
		return err
	}
	base, err := os.MkdirTemp(*dir, "bench-store-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(base)
	b := &bench{dir: base, length: time.Duration(*seconds * float64(time.Second)), count: *count, out: stdout, log: stderr}
	for _, table := range strings.Split(*only, ",") {
		switch table {
		case "cycles":
			err = b.cycles()
		case "backlog":
			err = b.backlogs(backlogs)
		case "recover":
			err = b.recovery(backlogs)
		case "slope":
			err = b.slope(*slope)
		default:
			err = fmt.Errorf("unknown table %q", table)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// numbers reads a list.
func numbers(text string) (list []int, err error) {
	for _, field := range strings.Split(text, ",") {
		n, err := strconv.Atoi(field)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("-backlog: %q is no number of messages", field)
		}
		list = append(list, n)
	}
	return list, nil
}

// measureChild is the whole of a child process.
func measureChild(text string, stdout io.Writer) error {
	var s settings
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	measure := measureCycles
	if s.Recover {
		measure = measureOpening
	}
	f, err := measure(s)
	if err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(f)
}
