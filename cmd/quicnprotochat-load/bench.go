package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"quicnprotochat/cmd/internal/buildinfo"
	"quicnprotochat/load"
	"quicnprotochat/load/report"
)

// benchFlags are those of bench.
type benchFlags struct {
	daemon, json, html string
	growth             bool
	scale              float64
}

func newBench() *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "A short run of each kind, in one table",
		Long: "Each run has a daemon of its own. A run that is not correct is told, the others go on, and the exit code is 3.\n" +
			"With --growth, runs at 1, 10 and 100 times their size, and what a unit costs beside the size before.",
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return bench(cmd, &f) },
	}
	cmd.Flags().StringVar(&f.daemon, "daemon", "", "the `program` of the daemon")
	cmd.Flags().BoolVar(&f.growth, "growth", false, "the same at growing sizes")
	cmd.Flags().Float64Var(&f.scale, "scale", 1, "a `part` of the times and sizes, to try it out")
	cmd.Flags().StringVar(&f.json, "json", "", "write the results to this `file`, a JSON object a line")
	cmd.Flags().StringVar(&f.html, "html", "", "write a report with plots to this `file`")
	return cmd
}

func bench(cmd *cobra.Command, f *benchFlags) error {
	if f.daemon == "" || !(f.scale > 0 && f.scale <= 1) {
		return fmt.Errorf("%w: bench needs --daemon, and a --scale above 0 and at most 1", errUsage)
	}
	if err := writable(f.html); err != nil {
		return err
	}
	return withLines(f.json, func(lines io.Writer) error { return trials(cmd, f, lines) })
}

// trials runs them all, and writes their results to lines.
func trials(cmd *cobra.Command, f *benchFlags, lines io.Writer) error {
	all := load.Short(f.scale)
	if f.growth {
		all = load.Growth(f.scale)
	}
	out, enc := cmd.OutOrStdout(), json.NewEncoder(lines)
	fmt.Fprint(out, load.TableHead)
	var runs []report.Run
	before, unwritten := 0.0, error(nil)
	p := newProgress(cmd.ErrOrStderr(), os.Stderr)
	show := p.show
	if !p.terminal {
		show = nil // the rows are the progress
	}
	err := load.Perform(cmd.Context(), all, f.daemon, buildinfo.Version(), show, func(t load.Trial, r *load.Result) {
		p.end()
		name := t.Name
		unit := r.Unit()
		if !r.OK() {
			unit = 0 // what it was until the run broke off says nothing
		}
		if t.Next && before > 0 && unit > 0 {
			name += fmt.Sprintf(" (a unit costs %.2f of the one before)", unit/before)
		}
		before = unit
		fmt.Fprint(out, r.Row(name))
		if e := enc.Encode(r); unwritten == nil {
			unwritten = e
		}
		runs = append(runs, report.Run{Name: t.Name, Result: r})
	})
	p.end()
	err = errors.Join(err, unwritten)
	if f.html != "" && len(runs) > 0 {
		if e := writeFile(f.html, func(w io.Writer) error { return report.Write(w, runs) }); err == nil {
			err = e
		}
	}
	return err
}
