package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"quicnprotochat/load"
	"quicnprotochat/load/report"
)

func newCompare() *cobra.Command {
	var above float64
	cmd := &cobra.Command{
		Use:   "compare A.json B.json",
		Short: "Set the results B against the results A",
		Long: "Each of A and B is a file, a pattern, or several of these with commas between; of several results the median counts, and how far they lie from it.\n" +
			"A difference within that spread is none (\"same\"); with one file a side, one of less than 5 %.",
		Args: usage(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if above != 0 && !(above >= 1) {
				return fmt.Errorf("%w: --fail-above %v, want a factor of at least 1", errUsage, above)
			}
			a, err := readResults(args[0])
			if err != nil {
				return err
			}
			b, err := readResults(args[1])
			if err != nil {
				return err
			}
			return compare(cmd, a, b, above)
		},
	}
	cmd.Flags().Float64Var(&above, "fail-above", 0, "fail when a figure is worse by more than this `factor`, and by more than the spread")
	return cmd
}

func compare(cmd *cobra.Command, a, b []*load.Result, above float64) error {
	for _, r := range append(append([]*load.Result{}, a...), b...) {
		switch {
		case r.Config.Scenario != a[0].Config.Scenario:
			return fmt.Errorf("%w: %s cannot be compared with %s", load.ErrConfig, r.Config.Scenario, a[0].Config.Scenario)
		case !r.OK():
			return fmt.Errorf("%w: a result is of a run that failed: %d violations %s", load.ErrConfig, r.Violations, r.Aborted)
		}
	}
	rows := report.Compare(a, b)
	fmt.Fprint(cmd.OutOrStdout(), report.CompareText(a, b, rows))
	if above == 0 {
		return nil
	}
	if worse := report.Failed(rows, above); len(worse) > 0 {
		return fmt.Errorf("%w: %s", load.ErrWorse, strings.Join(worse, "; "))
	}
	return nil
}

// readResults reads the files that a comma-separated list of names and patterns means.
func readResults(list string) (out []*load.Result, err error) {
	for pattern := range strings.SplitSeq(list, ",") {
		names, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("%w: %q: %w", errUsage, pattern, err)
		}
		if len(names) == 0 {
			return nil, fmt.Errorf("%w: no file %s", load.ErrConfig, pattern)
		}
		for _, name := range names {
			r, err := load.ReadResult(name)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", load.ErrConfig, err)
			}
			out = append(out, r)
		}
	}
	return out, nil
}
