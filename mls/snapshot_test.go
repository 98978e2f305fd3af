package mls

import (
	"fmt"
	"sort"
	"strings"
)

// snapshot is the whole state in comparable form.
func snapshot(g *Group) string {
	var out []string
	for _, r := range g.Snapshot() {
		out = append(out, fmt.Sprintf("%s %x", r.Key, r.Value))
	}
	sort.Strings(out)
	return strings.Join(out, "\n")
}
