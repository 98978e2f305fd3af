package integration

import (
	"os/exec"
	"strings"
	"testing"
)

// allowed says which of our rooms each room may import (docs/architecture.md). What lies below a room (store/pebble, mls/internal/...) counts as the
// room. Tests may import what they like.
var allowed = map[string]string{
	"as":          "mls quicrpc schemas store",
	"certs":       "",
	"client":      "certs mls quicrpc schemas",
	"cmd":         "certs client daemon mls quicrpc store",
	"daemon":      "as certs ds quicrpc store",
	"ds":          "quicrpc schemas store",
	"integration": "",
	"mls":         "",
	"quicrpc":     "",
	"schemas":     "",
	"store":       "",
}

func TestArchitecture(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "quicnprotochat/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		from := room(fields[0])
		may, known := allowed[from]
		if !known {
			t.Errorf("%s: a room that docs/architecture.md does not know", fields[0])
			continue
		}
		for _, imported := range fields[1:] {
			to := room(imported)
			if to == "" || to == from {
				continue
			}
			if !strings.Contains(" "+may+" ", " "+to+" ") {
				t.Errorf("%s imports %s", fields[0], imported)
			}
		}
	}
}

// room is the first part of one of our import paths, else empty.
func room(path string) string {
	rest, ours := strings.CutPrefix(path, "quicnprotochat/")
	if !ours {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}
