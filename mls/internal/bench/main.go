// Command bench measures package mls and prints a table: the rows that other
// implementations were measured by, next to their figures, with the standard
// library's primitives measured in the same run, then large groups and the cost
// of saving. It runs the package's Go benchmarks; each figure is the median of
// -count runs.
//
//	go run ./mls/internal/bench [-count 5] [-time 300ms] [-large=false] [-from FILE]
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
)

const pkg = "quicnprotochat/mls"

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var (
		count = flags.Int("count", 5, "runs of each benchmark, of which the median counts")
		time  = flags.String("time", "300ms", "length of a run")
		large = flags.Bool("large", true, "also groups of 5,000 and 10,000 members, which takes some minutes")
		tool  = flags.String("go", "go", "the go command")
		from  = flags.String("from", "", "read the output of go test -bench from a file in the place of running it")
	)
	if err := flags.Parse(args); err != nil {
		return err
	}
	out, err := measure(*from, *tool, *count, *time, *large, stderr)
	if err != nil {
		return err
	}
	m, err := parse(bytes.NewReader(out))
	if err != nil {
		return err
	}
	return report(stdout, m, *large)
}

// rowsPattern and largePattern choose the benchmarks of the first two tables
// and those of the others.
const (
	rowsPattern = "^Benchmark(Baseline|KeyPackage|CreateAddJoin|AddCommitBlankTree|JoinPopulatedTree|UpdateCommitCreate|" +
		"UpdateCommitProcess|Protect|Unprotect|Memory|Add999|XWing)$"
	largePattern = "^Benchmark(Large|Save)$"
)

// measure returns the output of go test -bench, which it also shows as it comes.
// The rows are run one after the other, count times over, so that a slow moment
// of the machine is not all that there is of one; the large groups take too long
// to make for that, and each of theirs is run count times at once.
func measure(from, tool string, count int, time string, large bool, progress io.Writer) ([]byte, error) {
	if from != "" {
		return os.ReadFile(from)
	}
	var out bytes.Buffer
	test := func(pattern string, count int) error {
		cmd := exec.Command(tool, "test", "-run", "^$", "-bench", pattern, "-benchtime", time,
			"-count", fmt.Sprint(count), "-timeout", "60m", pkg)
		cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, progress), progress
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("go test: %w", err)
		}
		return nil
	}
	for range count {
		if err := test(rowsPattern, 1); err != nil {
			return nil, err
		}
	}
	if large {
		if err := test(largePattern, count); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}
