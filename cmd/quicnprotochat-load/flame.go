package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"quicnprotochat/load"
	"quicnprotochat/load/report"
)

func newFlame() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "flame PROFILE.pb.gz -o x.svg",
		Short: "Draw a profile, and tell the share of each group of packages",
		Args:  usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := os.Open(args[0])
			if err != nil {
				return fmt.Errorf("%w: %w", load.ErrConfig, err)
			}
			defer f.Close()
			flame, err := report.ReadFlame(f)
			if err != nil {
				return fmt.Errorf("%w: %s: %w", load.ErrConfig, args[0], err)
			}
			if out != "" {
				if err := writeFile(out, flame.SVG); err != nil {
					return err
				}
			}
			fmt.Fprint(cmd.OutOrStdout(), flame.Table())
			return nil
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "`file` for the picture, SVG")
	return cmd
}
