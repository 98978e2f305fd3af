package envflag

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

func TestApply(t *testing.T) {
	t.Setenv("QUICNPROTOCHAT_DATA_DIR", "/from/env")
	t.Setenv("QUICNPROTOCHAT_LISTEN", "from-env")
	t.Setenv("QUICNPROTOCHAT_WAIT", "")
	cmd := &cobra.Command{Use: "x", Run: func(*cobra.Command, []string) {}}
	dir := cmd.Flags().String("data-dir", "default", "")
	listen := cmd.Flags().String("listen", "default", "")
	wait := cmd.Flags().Duration("wait", time.Second, "")
	cmd.SetArgs([]string{"--listen", "from-flag"})
	if err := cmd.Execute(); err != nil {
		t.Fatal(err)
	}
	if err := Apply(cmd); err != nil {
		t.Fatal(err)
	}
	if *dir != "/from/env" || *listen != "from-flag" || *wait != time.Second {
		t.Errorf("got %q %q %v", *dir, *listen, *wait)
	}
	t.Setenv("QUICNPROTOCHAT_WAIT", "soon")
	if err := Apply(cmd); err == nil || !strings.Contains(err.Error(), "QUICNPROTOCHAT_WAIT") {
		t.Errorf("a bad value: %v", err)
	}
}
