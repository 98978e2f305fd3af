package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"quicnprotochat/cmd/internal/envflag"
	"quicnprotochat/daemon"
	"quicnprotochat/store/hotlog"
)

// errDamage says that the store holds something that cannot be read.
var errDamage = errors.New("the store is damaged")

// newStoreCommand looks inside the store of a daemon that does not run.
func newStoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "store",
		Short: "Look inside the store while no daemon runs on it",
		Long: `store looks at what the data directory holds, and changes nothing there. It ends with 4 while a daemon runs on the directory, with 2 if there is
no store or the key is another, and with 6 if something in it cannot be read.`,
		Args: usageArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		storeCommand("check", "Read everything, and tell what cannot be read", check),
		storeCommand("stats", "Count what is in the log and in the tree", stats),
		newDumpCommand(),
	)
	return cmd
}

func usageArgs(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	return nil
}

// storeCommand makes a command that has the flags that say where the store is.
func storeCommand(name, short string, run func(cmd *cobra.Command, cfg daemon.Config) error) *cobra.Command {
	var cfg daemon.Config
	cmd := &cobra.Command{Use: name, Short: short, Args: usageArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		if err := envflag.Apply(cmd); err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
		cfg.Logger = slog.New(slog.DiscardHandler)
		return run(cmd, cfg)
	}}
	storeFlags(cmd.Flags(), &cfg)
	return cmd
}

func ignore(*hotlog.Item) error { return nil }

// verdict is the error for what was found.
func verdict(m *hotlog.Summary) error {
	if m.Damaged > 0 {
		return fmt.Errorf("%w: %d places cannot be read", errDamage, m.Damaged)
	}
	return nil
}

func total(kinds map[string]int) (n int) {
	for _, c := range kinds {
		n += c
	}
	return n
}

// check tells the damage, a line each.
func check(cmd *cobra.Command, cfg daemon.Config) error {
	m, err := daemon.InspectStore(cmd.Context(), cfg, ignore)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	for _, d := range m.Damage {
		fmt.Fprintln(out, d)
	}
	if m.Damaged > len(m.Damage) {
		fmt.Fprintf(out, "and %d more\n", m.Damaged-len(m.Damage))
	}
	if m.Torn {
		fmt.Fprintln(out, "the end of the log was cut off, as a crash does: nothing that was acknowledged is lost by that")
	}
	fmt.Fprintf(out, "read %d records of %d segments of the log, %d values of the tree, and %d message ids: %d damaged\n", total(m.Log), m.Segments, total(m.Tree), m.IDs, m.Damaged)
	return verdict(m)
}

// stats prints a table.
func stats(cmd *cobra.Command, cfg daemon.Config) error {
	m, err := daemon.InspectStore(cmd.Context(), cfg, ignore)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "log\tsegments\t%d\n", m.Segments)
	fmt.Fprintf(w, "log\tbytes of records\t%d\n", m.LogBytes)
	printKinds(w, "log", m.Log)
	fmt.Fprintf(w, "tree\tbytes of keys and values\t%d\n", m.TreeBytes)
	printKinds(w, "tree", m.Tree)
	fmt.Fprintf(w, "ids\tmessage ids\t%d\n", m.IDs)
	fmt.Fprintf(w, "all\tdamaged\t%d\n", m.Damaged)
	return errors.Join(w.Flush(), verdict(m))
}

func printKinds(w io.Writer, where string, kinds map[string]int) {
	for _, k := range slices.Sorted(maps.Keys(kinds)) {
		fmt.Fprintf(w, "%s\t%s\t%d\n", where, k, kinds[k])
	}
}

// line is what dump prints of an item. Names and ids are in hexadecimal.
type line struct {
	Where        string `json:"where"`
	Kind         string `json:"kind"`
	Segment      uint64 `json:"segment,omitempty"`
	Offset       uint32 `json:"offset,omitempty"`
	Key          string `json:"key,omitempty"`
	Owner        string `json:"owner,omitempty"`
	Group        string `json:"group,omitempty"`
	Shared       bool   `json:"shared,omitempty"`
	Seq          uint64 `json:"seq,omitempty"`
	Acknowledged uint64 `json:"acknowledged,omitempty"`
	Size         int    `json:"size"`
	At           string `json:"at,omitempty"`
	Expires      string `json:"expires,omitempty"`
	Value        []byte `json:"value,omitempty"`
	Error        string `json:"error,omitempty"`
}

func moment(ms int64) string {
	if ms == 0 {
		return ""
	}
	return time.UnixMilli(ms).UTC().Format(time.RFC3339Nano)
}

func newLine(item *hotlog.Item, values bool) line {
	l := line{Where: "tree", Kind: item.Kind, Key: hex.EncodeToString(item.Key), Seq: item.Seq, Acknowledged: item.Acked, Size: item.Size,
		At: moment(item.At), Expires: moment(item.Expires)}
	if item.Log {
		l.Where, l.Segment, l.Offset = "log", item.Segment, item.Offset
	}
	if q := item.Queue; q != nil {
		l.Group, l.Shared = hex.EncodeToString([]byte(q.Group)), q.Shared
		if !q.Shared {
			l.Owner = hex.EncodeToString(q.Owner[:])
		}
	}
	if values {
		l.Value = item.Value
	}
	if item.Err != nil {
		l.Error = item.Err.Error()
	}
	return l
}

// newDumpCommand prints everything, a JSON object a line.
func newDumpCommand() *cobra.Command {
	var values bool
	cmd := storeCommand("dump", "Print everything as JSON, an object a line", func(cmd *cobra.Command, cfg daemon.Config) error {
		out := json.NewEncoder(cmd.OutOrStdout())
		m, err := daemon.InspectStore(cmd.Context(), cfg, func(item *hotlog.Item) error { return out.Encode(newLine(item, values)) })
		if err != nil {
			return err
		}
		return verdict(m)
	})
	cmd.Flags().BoolVar(&values, "values", false, "print what is held, too, in base64: ciphertexts, KeyPackages, records")
	return cmd
}
