// Package envflag lets every flag of a command be given by an environment variable.
package envflag

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Prefix begins the name of every variable.
const Prefix = "QUICNPROTOCHAT_"

// Name is the variable for a flag: "data-dir" is QUICNPROTOCHAT_DATA_DIR.
func Name(flag string) string {
	return Prefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Apply sets each flag of cmd that was not given on the command line from its variable, if that is set and not empty.
func Apply(cmd *cobra.Command) error {
	var failed error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		v := os.Getenv(Name(f.Name))
		if f.Changed || v == "" || failed != nil {
			return
		}
		if err := cmd.Flags().Set(f.Name, v); err != nil {
			failed = fmt.Errorf("%s: %w", Name(f.Name), err)
		}
	})
	return failed
}
