package integration

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// allowed says which of our rooms each room may import (docs/architecture.md). What lies below a room (store/pebble, mls/internal/...) counts as the
// room. Tests may import what they like.
var allowed = map[string]string{
	"as":          "mls names quicrpc schemas store",
	"certs":       "",
	"client":      "certs mls names quicrpc receipt schemas",
	"cmd":         "certs client daemon load mls names quicrpc store",
	"daemon":      "as certs ds quicrpc receipt store",
	"ds":          "quicrpc receipt schemas store",
	"integration": "",
	"load":        "certs client mls quicrpc schemas",
	"mls":         "",
	"names":       "",
	"quicrpc":     "certs",
	"receipt":     "",
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

// TestSources looks at each Go file of ours. The tests here run programs that they do not import; the go command sees which files a test looks
// at, and does not answer from its cache when one has changed.
func TestSources(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{range .GoFiles}}{{$.Dir}}/{{.}}{{"\n"}}{{end}}`, "quicnprotochat/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	files := strings.Fields(string(out))
	if len(files) == 0 {
		t.Fatal("no source found")
	}
	for _, file := range files {
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
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
