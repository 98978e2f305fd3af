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

// choices are the flags of a run that are not the run's configuration.
type choices struct {
	json   string
	html   string
	team   teamFlags
	search searchFlags
}

// newScenario makes the command of one scenario.
func newScenario(name, about string) *cobra.Command {
	cfg, ch := load.DefaultsFor(name), &choices{}
	cmd := &cobra.Command{
		Use:   name,
		Short: about,
		Args:  usage(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return execute(cmd, cfg, ch) },
	}
	addFlags(cmd.Flags(), &cfg)
	cmd.Flags().StringVar(&ch.json, "json", "", "write intervals and result to this `file`, a JSON object a line; - is standard output")
	cmd.Flags().StringVar(&ch.html, "html", "", "write a report with plots to this `file`")
	ch.team.add(cmd.Flags())
	ch.search.add(cmd.Flags())
	return cmd
}

func execute(cmd *cobra.Command, cfg load.Config, ch *choices) error {
	team, err := ch.team.team()
	if err != nil {
		return err
	}
	if err := writable(ch.html); err != nil {
		return err
	}
	if ch.json == "-" {
		return telling(cmd, cfg, team, ch, cmd.OutOrStdout())
	}
	return withLines(ch.json, func(lines io.Writer) error { return telling(cmd, cfg, team, ch, lines) })
}

// telling does a run, and writes it to lines.
func telling(cmd *cobra.Command, cfg load.Config, team load.Team, ch *choices, lines io.Writer) error {
	enc := json.NewEncoder(lines)
	res, err := measure(cmd, cfg, team, ch, enc)
	if res == nil {
		return err
	}
	if e := enc.Encode(res); e != nil && err == nil {
		err = e
	}
	if ch.html != "" {
		err = errors.Join(err, writeFile(ch.html, func(w io.Writer) error { return report.Write(w, []report.Run{{Name: cfg.Scenario, Result: res}}) }))
	}
	if ch.json != "-" {
		fmt.Fprint(cmd.OutOrStdout(), res.Text())
	}
	return err
}

// measure does the run, or the runs of a search.
func measure(cmd *cobra.Command, cfg load.Config, team load.Team, ch *choices, enc *json.Encoder) (*load.Result, error) {
	if ch.search.on {
		return load.SearchRate(cmd.Context(), cfg, team, buildinfo.Version(), ch.search.from(cfg.Rate), func(s load.Step) { fmt.Fprintln(cmd.ErrOrStderr(), s.Line()) })
	}
	p := newProgress(cmd.ErrOrStderr(), os.Stderr)
	defer p.end()
	return load.Execute(cmd.Context(), cfg, team, buildinfo.Version(), func(iv load.Interval) {
		_ = enc.Encode(iv)
		p.show(iv)
	})
}
