package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"quicnprotochat/certs"
	"quicnprotochat/client"
	"quicnprotochat/names"
)

func newName(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "name",
		Short: "Claim a name on the server, look names up, hand them on, revoke them",
		Long: "A name stands for the identity that claimed it first. Each change is signed and stands in a log that everybody can read: see name audit.\n" +
			"A name is 1 to 64 of a-z, 0-9, '.', '_' and '-', and begins and ends with a letter or a digit.",
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newNameClaim(g), newNameShow(g), newNameRotate(g), newNameRevoke(g), newNameAudit(g))
	return cmd
}

func newNameClaim(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "claim NAME",
		Short: "Take a name that nobody has",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.withSession(cmd.Context(), func(ctx context.Context, a *client.Account, s *client.Session) error {
				return written(a.ClaimName(ctx, s, args[0]))
			})
		},
	}
}

// written tells of a change.
func written(e names.Entry, err error) error {
	if err != nil {
		return err
	}
	return sayEntry(&e)
}

func sayEntry(e *names.Entry) error {
	line := fmt.Sprintf("%d\t%s\t%v\t%s", e.Number, time.UnixMilli(int64(e.Time)).Local().Format(time.DateTime), e.Kind, e.Name)
	for _, key := range []names.Key{e.Old, e.New} {
		if key != (names.Key{}) {
			line += "\t" + certs.Identity(key).String()
		}
	}
	return say("%s\n", line)
}

func newNameShow(g *globals) *cobra.Command {
	var history bool
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Print the identity that a name stands for",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.withSession(cmd.Context(), func(ctx context.Context, _ *client.Account, s *client.Session) error {
				return showName(ctx, s, args[0], history)
			})
		},
	}
	cmd.Flags().BoolVar(&history, "history", false, "print every change of the name: number, time, what, name, identities")
	return cmd
}

func showName(ctx context.Context, s *client.Session, name string, history bool) error {
	if err := names.CheckName(name); err != nil {
		return err
	}
	if history {
		entries, err := s.NameHistory(ctx, name)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			return fmt.Errorf("%w: %s", names.ErrUnclaimed, name)
		}
		for i := range entries {
			if err := sayEntry(&entries[i]); err != nil {
				return err
			}
		}
		return nil
	}
	status, err := s.ResolveName(ctx, name)
	switch {
	case err != nil:
		return err
	case status.Version == 0:
		return fmt.Errorf("%w: %s", names.ErrUnclaimed, name)
	case status.Revoked:
		return fmt.Errorf("%w: %s was %v's", names.ErrRevoked, name, status.Key)
	}
	return say("%s\n", status.Key)
}

func newNameRotate(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "rotate NAME DIRECTORY",
		Short: "Hand a name on to the account in another state directory: the same person's new identity",
		Args:  args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			to, err := client.Open(args[1], g.logger())
			if err != nil {
				return err
			}
			defer to.Close()
			return g.withSession(cmd.Context(), func(ctx context.Context, a *client.Account, s *client.Session) error {
				return written(a.RotateName(ctx, s, args[0], to))
			})
		},
	}
}

func newNameRevoke(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke NAME",
		Short: "Give up a name for good: nobody can have it again",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.withSession(cmd.Context(), func(ctx context.Context, a *client.Account, s *client.Session) error {
				return written(a.RevokeName(ctx, s, args[0]))
			})
		},
	}
}

func newNameAudit(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "audit",
		Short: "Read the whole log of names, check it, and print where it ends",
		Long: "Reads the whole log of names, and checks that each change follows the one before and is signed by the keys that it concerns, and that it\n" +
			"is the log of the last time, gone on. Two people who see the same number and the same hash were told the same log.",
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return g.withSession(cmd.Context(), func(ctx context.Context, a *client.Account, s *client.Session) error {
				audit, err := a.AuditNames(ctx, s)
				if err != nil {
					return err
				}
				number, hash := audit.Head()
				return say("%d changes, hash %x, log %x\n", number, hash, audit.Log())
			})
		},
	}
}
