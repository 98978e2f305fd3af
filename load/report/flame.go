package report

import (
	"cmp"
	"fmt"
	"html"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

// A Flame is a profile as a tree: which functions called which, and what was spent in each.
type Flame struct {
	root  *frameNode
	unit  string
	total int64
	own   map[string]int64 // by group: in its functions themselves
	with  map[string]int64 // and in what they called
}

type frameNode struct {
	name     string
	value    int64
	children map[string]*frameNode
}

func (n *frameNode) child(name string) *frameNode {
	if n.children == nil {
		n.children = make(map[string]*frameNode)
	}
	c := n.children[name]
	if c == nil {
		c = &frameNode{name: name}
		n.children[name] = c
	}
	return c
}

// maxDepth keeps a recursion from making a picture that nothing can show.
const maxDepth = 256

// ReadFlame reads what pprof writes.
func ReadFlame(r io.Reader) (*Flame, error) {
	p, err := profile.Parse(r)
	if err != nil {
		return nil, err
	}
	if len(p.SampleType) == 0 {
		return nil, fmt.Errorf("a profile of nothing")
	}
	which := len(p.SampleType) - 1 // of a CPU profile the time, of a heap the bytes in use
	for i, t := range p.SampleType {
		if t.Type == p.DefaultSampleType {
			which = i
		}
	}
	f := &Flame{root: &frameNode{name: "all"}, unit: p.SampleType[which].Unit, own: make(map[string]int64), with: make(map[string]int64)}
	for _, s := range p.Sample {
		if v := s.Value[which]; v > 0 {
			f.add(stack(s), v)
		}
	}
	return f, nil
}

// stack lists a sample's functions, the outermost first.
func stack(s *profile.Sample) (out []string) {
	for _, l := range s.Location {
		if len(l.Line) == 0 {
			out = append(out, fmt.Sprintf("0x%x", l.Address))
		}
		for _, at := range l.Line {
			name := "?"
			if at.Function != nil {
				name = at.Function.Name
			}
			out = append(out, name)
		}
	}
	slices.Reverse(out)
	return out[:min(len(out), maxDepth)]
}

func (f *Flame) add(stack []string, v int64) {
	f.total += v
	f.root.value += v
	node := f.root
	group := "other"
	seen := make(map[string]bool)
	for _, name := range stack {
		node = node.child(name)
		node.value += v
		if group = groupOf(name); !seen[group] {
			seen[group] = true
			f.with[group] += v
		}
	}
	f.own[group] += v
}

// groups are the packages that a profile of the daemon or of a client is told by: the first whose prefix fits.
var groups = []struct {
	name     string
	prefixes []string
}{
	{"mls", []string{"quicnprotochat/mls"}},
	{"quic", []string{"github.com/quic-go/"}},
	{"capnp", []string{"capnproto.org/", "quicnprotochat/schemas"}},
	{"store", []string{"quicnprotochat/store", "github.com/cockroachdb/", "go.etcd.io/bbolt"}},
	{"quicnprotochat, the rest", []string{"quicnprotochat/", "main"}},
	{"crypto/tls", []string{"crypto/tls"}},
	{"crypto, the rest", []string{"crypto", "golang.org/x/crypto", "vendor/golang.org/x/crypto", "github.com/cloudflare/circl"}},
	{"syscall", []string{"syscall", "internal/runtime/syscall", "golang.org/x/sys/unix", "runtime/internal/syscall"}},
	{"runtime", []string{"runtime", "internal/runtime", "internal/bytealg", "sync"}},
}

// groupOf is the group of a function.
func groupOf(function string) string {
	p := packageOf(function)
	for _, g := range groups {
		for _, prefix := range g.prefixes {
			if rest, ok := strings.CutPrefix(p, prefix); ok && (rest == "" || rest[0] == '/' || strings.HasSuffix(prefix, "/")) {
				return g.name
			}
		}
	}
	return "other"
}

// packageOf is the import path in a function's name: quicnprotochat/store/hotlog.(*Log).Append is in quicnprotochat/store/hotlog.
func packageOf(function string) string {
	name := withoutTypes(function)
	slash := strings.LastIndexByte(name, '/') + 1
	dot := strings.IndexByte(name[slash:], '.')
	if dot < 0 {
		return name
	}
	return name[:slash+dot]
}

// withoutTypes leaves out type arguments, which may hold paths of their own.
func withoutTypes(function string) string {
	var b strings.Builder
	depth := 0
	for _, c := range function {
		if c == '[' {
			depth++
		}
		if depth == 0 {
			b.WriteRune(c)
		}
		if c == ']' {
			depth = max(0, depth-1)
		}
	}
	return b.String()
}

// Table is the shares of the groups.
func (f *Flame) Table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-26s %8s %18s\n", "share of "+amount(f.total, f.unit), "itself", "with what it calls")
	for _, g := range slices.SortedFunc(maps.Keys(f.with), func(a, b string) int {
		return cmp.Or(cmp.Compare(f.own[b], f.own[a]), cmp.Compare(f.with[b], f.with[a]), cmp.Compare(a, b))
	}) {
		fmt.Fprintf(&b, "%-26s %7.1f%% %17.1f%%\n", g, f.percent(f.own[g]), f.percent(f.with[g]))
	}
	return b.String()
}

func (f *Flame) percent(v int64) float64 { return 100 * float64(v) / float64(max(f.total, 1)) }

func amount(v int64, unit string) string {
	switch unit {
	case "nanoseconds":
		return fmt.Sprintf("%.2f s", float64(v)/1e9)
	case "bytes":
		return fmt.Sprintf("%.1f MiB", float64(v)/(1<<20))
	default:
		return fmt.Sprintf("%d %s", v, unit)
	}
}

const (
	flameWidth, rowHeight = 1200.0, 17
	narrowest             = 0.4 // frames that take less cannot be seen, and are left out
	charWidth             = 6.6
)

// SVG draws the tree, callers above what they call.
func (f *Flame) SVG(w io.Writer) error {
	var b strings.Builder
	depth := f.draw(&b, f.root, 0, flameWidth, 0)
	var head strings.Builder
	tall := (depth+1)*rowHeight + 30
	fmt.Fprintf(&head, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %d" font-family="monospace" font-size="11">`, flameWidth, tall)
	head.WriteString("<style>rect{stroke:#fff;stroke-width:.5}g:hover rect{stroke:#000}text{pointer-events:none;fill:#111}</style>")
	fmt.Fprintf(&head, `<rect width="%.0f" height="%d" fill="#fff"/>`, flameWidth, tall)
	x := 4.0
	for _, g := range append(groupNames(), "other") {
		fmt.Fprintf(&head, `<rect x="%.0f" y="5" width="10" height="10" fill="%s"/><text x="%.0f" y="14">%s</text>`, x, colorOf(g), x+14, g)
		x += float64(len(g))*charWidth + 30
	}
	_, err := io.WriteString(w, head.String()+b.String()+"</svg>\n")
	return err
}

// draw returns the depth of what it has drawn.
func (f *Flame) draw(b *strings.Builder, n *frameNode, x, width float64, depth int) int {
	if width < narrowest {
		return depth - 1
	}
	y := 24 + depth*rowHeight
	label := withoutTypes(n.name)
	label = label[strings.LastIndexByte(label, '/')+1:]
	fmt.Fprintf(b, `<g><title>%s: %s, %.2f%%</title><rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>`,
		html.EscapeString(n.name), amount(n.value, f.unit), f.percent(n.value), x, y, width, rowHeight-1, colorOf(groupOf(n.name)))
	if fits := int(width/charWidth) - 1; fits >= 3 {
		if letters := []rune(label); len(letters) > fits {
			label = string(letters[:fits-1]) + "…"
		}
		fmt.Fprintf(b, `<text x="%.1f" y="%d">%s</text>`, x+3, y+12, html.EscapeString(label))
	}
	b.WriteString("</g>\n")
	deepest := depth
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		c := n.children[name]
		w := width * float64(c.value) / float64(max(n.value, 1))
		deepest = max(deepest, f.draw(b, c, x, w, depth+1))
		x += w
	}
	return deepest
}

func groupNames() (out []string) {
	for _, g := range groups {
		out = append(out, g.name)
	}
	return out
}

var colors = []string{"#c9a0ff", "#8ec5ff", "#ffd27a", "#9fdc9f", "#ff9e80", "#f7b5d2", "#e3a6c9", "#c0c0c8", "#dcdce0", "#f2efd8"}

func colorOf(group string) string {
	return colors[(slices.Index(groupNames(), group)+len(colors))%len(colors)] // -1, for other, is the last
}
