package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"quicnprotochat/certs"
	"quicnprotochat/client"
)

func newCreateGroup(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "create-group NAME",
		Short: "Make a group with this account as its only member; prints its id",
		Long:  "Makes a group. The name is local to this account: others choose their own when they join.",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			return g.withAccount(func(a *client.Account) error {
				group, err := a.CreateGroup(args[0])
				if err != nil {
					return err
				}
				return say("%s\n", group.HexID())
			})
		},
	}
}

func newGroups(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "groups",
		Short: "List the account's groups: id, epoch, members, name",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			return g.withAccount(func(a *client.Account) error {
				groups, err := a.Groups()
				for _, group := range groups {
					note := ""
					if group.Removed {
						note = " (removed)"
					} else if group.Wedged {
						note = " (stands still: see report and mend)"
					}
					if err := say("%s  epoch %d  members %d  %s%s\n", group.HexID(), group.Epoch, len(group.Members), group.Name, note); err != nil {
						return err
					}
				}
				return err
			})
		},
	}
}

func newMembers(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "members GROUP",
		Short: "List the members of a group, by identity",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			return g.withAccount(func(a *client.Account) error {
				group, err := a.Group(args[0])
				if err != nil {
					return err
				}
				for _, m := range group.Members {
					if err := say("%s\n", m); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

func newInvite(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "invite GROUP IDENTITY...",
		Short: "Add somebody to a group",
		Args:  args(cobra.MinimumNArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			who, err := parseIdentities(args[1:])
			if err != nil {
				return err
			}
			return g.withGroup(cmd.Context(), args[0], func(ctx context.Context, a *client.Account, s *client.Session, group client.Group) error {
				return a.Invite(ctx, s, group.ID, who...)
			})
		},
	}
}

func newRemove(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "remove GROUP IDENTITY",
		Short: "Remove somebody from a group",
		Args:  args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			who, err := parseIdentities(args[1:])
			if err != nil {
				return err
			}
			return g.withGroup(cmd.Context(), args[0], func(ctx context.Context, a *client.Account, s *client.Session, group client.Group) error {
				return a.Remove(ctx, s, group.ID, who[0])
			})
		},
	}
}

func newUpdate(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "update GROUP",
		Short: "Renew this account's keys in a group",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.withGroup(cmd.Context(), args[0], func(ctx context.Context, a *client.Account, s *client.Session, group client.Group) error {
				return a.Update(ctx, s, group.ID)
			})
		},
	}
}

func newReport(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "report GROUP",
		Short: "Tell the server that a group's last commit cannot be processed",
		Long: "Tells the server that the last commit of a group cannot be processed, and prints how many members said so, and how many must before somebody can mend the group: more than half\n" +
			"of those who were members before that commit, or one, if the group's founder is among them.",
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.withGroup(cmd.Context(), args[0], func(ctx context.Context, a *client.Account, s *client.Session, group client.Group) error {
				said, needed, err := a.Report(ctx, s, group.ID)
				if err != nil {
					return err
				}
				return say("%d of %d\n", said, needed)
			})
		},
	}
}

func newMend(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "mend GROUP",
		Short: "Replace a group's last commit, which enough members reported",
		Long: "Replaces the last commit of a group, which cannot be processed, by one that renews this account's keys. Who was added by that commit is out again, who was removed by it is\n" +
			"in again. It works when enough members have said so: see report.",
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.withGroup(cmd.Context(), args[0], func(ctx context.Context, a *client.Account, s *client.Session, group client.Group) error {
				return a.Mend(ctx, s, group.ID)
			})
		},
	}
}

func parseIdentities(args []string) (out []certs.Identity, err error) {
	seen := make(map[certs.Identity]bool)
	for _, arg := range args {
		id, err := certs.ParseIdentity(arg)
		if err != nil {
			return nil, err
		}
		if seen[id] {
			return nil, fmt.Errorf("%w: %s stands there twice", errUsage, id)
		}
		seen[id] = true
		out = append(out, id)
	}
	return out, nil
}

// withGroup is withSession for a command about one group; the group is looked up before anything goes to the server.
func (g *globals) withGroup(ctx context.Context, ref string, f func(ctx context.Context, a *client.Account, s *client.Session, group client.Group) error) error {
	return g.withAccount(func(a *client.Account) error {
		group, err := a.Group(ref)
		if err != nil {
			return err
		}
		return g.connected(ctx, a, func(ctx context.Context, s *client.Session) error { return f(ctx, a, s, group) })
	})
}

func newJoin(g *globals) *cobra.Command {
	var name string
	var again bool
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "join",
		Short: "Accept the invitations that have come; prints the groups joined",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return g.withAccount(func(a *client.Account) error { return join(cmd.Context(), g, a, name, again, wait) })
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "local `name` for the group")
	cmd.Flags().BoolVar(&again, "again", false, "accept invitations to groups that you are in, too: you may have been removed and invited anew while away")
	cmd.Flags().DurationVar(&wait, "wait", 0, "if there is none, wait this `long` for one")
	return cmd
}

func join(ctx context.Context, g *globals, a *client.Account, name string, again bool, wait time.Duration) error {
	err := g.connected(ctx, a, func(ctx context.Context, s *client.Session) error {
		_, err := a.Sync(ctx, s)
		return err
	})
	if err != nil {
		return err
	}
	if n, err := a.Invites(); err != nil {
		return err
	} else if n == 0 {
		if err := g.waitFor(ctx, a, wait, a.Invites); err != nil {
			return fmt.Errorf("%w: no invitation", err)
		}
	}
	joined, err := a.Join(name, again)
	for _, group := range joined {
		err = errors.Join(err, say("%s  members %d  %s\n", group.HexID(), len(group.Members), group.Name))
	}
	return err
}

// waitFor listens to what is pushed until count says that there is something, at most for wait; else errNothing.
func (g *globals) waitFor(ctx context.Context, a *client.Account, wait time.Duration, count func() (int, error)) error {
	if wait <= 0 {
		return errNothing
	}
	opts, err := g.dialOptions()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var came atomic.Bool // news comes from one goroutine for each queue
	err = a.Follow(ctx, opts, func() {
		if n, err := count(); err == nil && n > 0 {
			came.Store(true)
			cancel()
		}
	}, nil)
	switch {
	case came.Load():
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return errNothing
	default:
		return err
	}
}
