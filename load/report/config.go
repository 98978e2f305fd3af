package report

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"quicnprotochat/load"
)

// setting is one entry of a configuration, as its flag would be written.
type setting struct{ Name, Value string }

// times are the entries that are durations, which JSON holds as nanoseconds.
var times = []string{"warmup", "duration", "drain", "interval", "restarts"}

// own are the entries that differ between any two runs and say nothing.
var own = []string{"key", "worker", "pin", "addr", "data", "pid"}

// settings lists a configuration by name.
func settings(c load.Config) []setting {
	text, err := json.Marshal(c)
	if err != nil {
		return nil
	}
	var all map[string]any
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.UseNumber()
	if dec.Decode(&all) != nil {
		return nil
	}
	var out []setting
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if slices.Contains(own, name) {
			continue
		}
		value := fmt.Sprint(all[name])
		if n, ok := all[name].(json.Number); ok && slices.Contains(times, name) {
			if ns, err := n.Int64(); err == nil {
				value = time.Duration(ns).String()
			}
		}
		out = append(out, setting{name, value})
	}
	return out
}

// differences lists the settings in which two runs differ.
func differences(a, b load.Config) (out []string) {
	of := make(map[string]string)
	for _, s := range settings(b) {
		of[s.Name] = s.Value
	}
	for _, s := range settings(a) {
		if v, ok := of[s.Name]; !ok || v != s.Value {
			out = append(out, fmt.Sprintf("%s: %s, %s", s.Name, s.Value, orNone(of[s.Name])))
		}
		delete(of, s.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(of)) {
		out = append(out, fmt.Sprintf("%s: none, %s", name, of[name]))
	}
	return out
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
