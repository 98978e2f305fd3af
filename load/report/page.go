package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"quicnprotochat/load"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// row is a line of a table: a cell for each run.
type row struct {
	Name  string
	Cells []string
}

type search struct {
	Name  string
	Lines []string
}

// section is what a report says of the runs of one scenario.
type section struct {
	Scenario string
	Names    []string
	Bad      []string
	Rows     []row
	Settings []row
	Growth   []template.HTML
	Plots    []template.HTML
	Searches []search
}

// Write makes the report of some runs: those of the same scenario are drawn over one another.
func Write(w io.Writer, runs []Run) error {
	data := struct {
		Title    string
		Sections []section
	}{}
	var order []string
	of := make(map[string][]Run)
	for _, r := range runs {
		s := r.Result.Config.Scenario
		if of[s] == nil {
			order = append(order, s)
		}
		of[s] = append(of[s], r)
	}
	for _, s := range order {
		data.Sections = append(data.Sections, sectionOf(s, of[s]))
	}
	data.Title = "quicnprotochat-load: " + strings.Join(order, ", ")
	return page.Execute(w, data)
}

func sectionOf(scenario string, runs []Run) section {
	s := section{Scenario: scenario, Rows: summary(runs), Settings: settingRows(runs), Growth: growth(runs), Plots: plotsOf(runs)}
	for _, r := range runs {
		s.Names = append(s.Names, r.Name)
		if n := r.Result.Violations; n > 0 {
			s.Bad = append(s.Bad, fmt.Sprintf("%s is not correct: %d violations", r.Name, n))
			s.Bad = append(s.Bad, r.Result.Told...)
		}
		if r.Result.Aborted != "" {
			s.Bad = append(s.Bad, fmt.Sprintf("%s did not come to its end: %s", r.Name, r.Result.Aborted))
		}
		if len(r.Result.Search) > 0 {
			found := search{Name: r.Name}
			for _, step := range r.Result.Search {
				found.Lines = append(found.Lines, step.Line())
			}
			s.Searches = append(s.Searches, found)
		}
	}
	return s
}

// table puts together a line for each name that a run has an entry of.
type table struct{ rows []row }

// add makes a line, unless no run has anything to say.
func (t *table) add(name string, runs []Run, get func(*load.Result) string) {
	r := row{Name: name}
	any := false
	for _, run := range runs {
		text := get(run.Result)
		any = any || text != ""
		r.Cells = append(r.Cells, text)
	}
	if any {
		t.rows = append(t.rows, r)
	}
}

func summary(runs []Run) []row {
	var t table
	count := func(get func(*load.Result) uint64) func(*load.Result) string {
		return func(r *load.Result) string {
			if n := get(r); n > 0 {
				return fmt.Sprint(n)
			}
			return ""
		}
	}
	t.add("began", runs, func(r *load.Result) string { return r.Started.Format(time.RFC3339) })
	t.add("version", runs, func(r *load.Result) string { return r.Version })
	t.add("measured, s", runs, func(r *load.Result) string { return short(r.Seconds) })
	t.add("sent", runs, count(func(r *load.Result) uint64 { return r.Sent }))
	t.add("stored", runs, count(func(r *load.Result) uint64 { return r.Stored }))
	t.add("delivered", runs, count(func(r *load.Result) uint64 { return r.Delivered }))
	t.add("refused", runs, count(func(r *load.Result) uint64 { return r.Refused }))
	t.add("came again", runs, count(func(r *load.Result) uint64 { return r.Redelivered }))
	for _, f := range figures() {
		t.add(f.Name, runs, func(r *load.Result) string {
			if v, ok := f.of(r); ok {
				return short(v)
			}
			return ""
		})
	}
	names := make(map[string]bool)
	for _, r := range runs {
		for k := range r.Result.Values {
			names[k] = true
		}
	}
	for _, k := range slices.Sorted(maps.Keys(names)) {
		t.add(k, runs, func(r *load.Result) string {
			if v, ok := r.Values[k]; ok {
				return short(v)
			}
			return ""
		})
	}
	return t.rows
}

func settingRows(runs []Run) []row {
	var t table
	names := make(map[string]bool)
	of := make(map[*load.Result]map[string]string)
	for _, r := range runs {
		of[r.Result] = make(map[string]string)
		for _, s := range settings(r.Result.Config) {
			names[s.Name] = true
			of[r.Result][s.Name] = s.Value
		}
	}
	for _, k := range slices.Sorted(maps.Keys(names)) {
		t.add(k, runs, func(r *load.Result) string { return of[r][k] })
	}
	return t.rows
}
