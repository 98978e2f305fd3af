// Command bench measures package mls and prints a table: the rows that other
// implementations were measured by, next to their figures, with the standard
// library's primitives measured in the same run, then large groups and the cost
// of saving. It runs the package's Go benchmarks; each figure is the median of
// -count runs.
//
//	go run ./mls/internal/bench [-count 3] [-time 300ms] [-large=false] [-from FILE]
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
		count = flags.Int("count", 3, "runs of each benchmark, of which the median counts")
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

// measure returns the output of go test -bench, which it also shows as it comes.
func measure(from, tool string, count int, time string, large bool, progress io.Writer) ([]byte, error) {
	if from != "" {
		return os.ReadFile(from)
	}
	pattern := "^Benchmark(Baseline|KeyPackage|CreateAddJoin|AddCommitBlankTree|JoinPopulatedTree|UpdateCommitCreate|" +
		"UpdateCommitProcess|Protect|Unprotect|Memory|Add999|XWing"
	if large {
		pattern += "|Large|Save"
	}
	var out bytes.Buffer
	cmd := exec.Command(tool, "test", "-run", "^$", "-bench", pattern+")$", "-benchtime", time,
		"-count", fmt.Sprint(count), "-timeout", "60m", pkg)
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, progress), progress
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go test: %w", err)
	}
	return out.Bytes(), nil
}
