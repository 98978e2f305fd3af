package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"quicnprotochat/certs"
	"quicnprotochat/client"
)

func newInit(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: "Make an identity and a state directory; prints the identity",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			server := g.server
			if server == "" {
				server = defaultServer
			}
			opts, err := g.dialOptions()
			if err != nil {
				return err
			}
			id, err := client.Create(g.state, server, opts.Pin)
			if err != nil {
				return err
			}
			return say("%s\n", id)
		},
	}
}

func newWhoami(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "whoami",
		Short: "Print the account's identity",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			return g.withAccount(func(a *client.Account) error {
				return say("%s\n", a.Identity())
			})
		},
	}
}

func newPing(g *globals) *cobra.Command {
	var count int
	cmd := &cobra.Command{
		Use:   "ping",
		Short: "Measure the round trip to the server, and print what was negotiated",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if count < 1 {
				return fmt.Errorf("%w: --count %d", errUsage, count)
			}
			return ping(cmd.Context(), g, count)
		},
	}
	cmd.Flags().IntVar(&count, "count", 3, "how `many` calls to time")
	return cmd
}

func ping(ctx context.Context, g *globals, count int) error {
	return g.withAccount(func(a *client.Account) error {
		opts, err := g.dialOptions()
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, g.timeout)
		defer cancel()
		opts.Early = true
		start := time.Now()
		s, err := a.Dial(ctx, opts)
		if err != nil {
			return err
		}
		defer s.Close()
		info, err := s.ServerInfo(ctx)
		if err != nil {
			return err
		}
		answered := time.Since(start)
		select {
		case <-s.Conn().HandshakeComplete():
		case <-ctx.Done():
			return ctx.Err()
		}
		st := s.Conn().State()
		fmt.Printf("server     %s %s at %s\n", printable(info.Name), printable(info.Version), st.RemoteAddr) // the server's words
		fmt.Printf("protocol   QUIC %s, %s, %s, %s, %s\n", st.QUICVersion, st.ALPN, st.TLSVersion, st.CipherSuite, st.Group)
		fmt.Printf("connected  and answered in %v, resumed: %v, 0-RTT: %v\n", answered.Round(time.Microsecond), st.Resumed, st.Used0RTT)
		fmt.Printf("limits     payload %d bytes, %d messages and %d recipients a call\n", info.MaxPayload, info.MaxBatch, info.MaxRecipients)
		for i := range count {
			start := time.Now()
			if _, err := s.ServerInfo(ctx); err != nil {
				return err
			}
			if err := say("call %-5d %v\n", i+1, time.Since(start).Round(time.Microsecond)); err != nil {
				return err
			}
		}
		return nil
	})
}

func newRegister(g *globals) *cobra.Command {
	var count int
	cmd := &cobra.Command{
		Use:   "register",
		Short: "Publish KeyPackages, so that others can invite this account",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return publish(cmd.Context(), g, count, func(client.PoolStatus) int { return count })
		},
	}
	cmd.Flags().IntVar(&count, "count", client.PoolSize, "how `many` to publish")
	return cmd
}

func newRefresh(g *globals) *cobra.Command {
	var count int
	cmd := &cobra.Command{
		Use:   "refresh-keypackage",
		Short: "Fill up the pool of published KeyPackages",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return publish(cmd.Context(), g, count, func(p client.PoolStatus) int { return max(count-p.Available, 1) })
		},
	}
	cmd.Flags().IntVar(&count, "count", client.PoolSize, "how `many` there should be; at least one is published")
	return cmd
}

func publish(ctx context.Context, g *globals, count int, want func(client.PoolStatus) int) error {
	if count < 1 || count > client.MaxPublish {
		return fmt.Errorf("%w: --count %d, want 1 to %d", errUsage, count, client.MaxPublish)
	}
	return g.withSession(ctx, func(ctx context.Context, a *client.Account, s *client.Session) error {
		pool, err := s.PoolStatus(ctx)
		if err != nil {
			return err
		}
		n := want(pool)
		available, err := a.PublishKeyPackages(ctx, s, n)
		if err != nil {
			return err
		}
		return say("published %d KeyPackages, %d available\n", n, available)
	})
}

func newFetchKey(g *globals) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "fetch-key IDENTITY",
		Short: "Take one KeyPackage of somebody from the server, and show or keep it",
		Long:  "Takes one KeyPackage of somebody from the server, verifies it, and prints what it is. Each is handed out once: this uses one up.",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := certs.ParseIdentity(args[0])
			if err != nil {
				return err
			}
			return g.withSession(cmd.Context(), func(ctx context.Context, _ *client.Account, s *client.Session) error {
				return fetchKey(ctx, s, id, out)
			})
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "write the raw KeyPackage to this `file`")
	return cmd
}

func fetchKey(ctx context.Context, s *client.Session, id certs.Identity, out string) error {
	pkg, info, err := s.FetchValidKeyPackage(ctx, id)
	if err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	sum := sha256.Sum256(pkg)
	fmt.Printf("fingerprint  %s\n", hex.EncodeToString(sum[:]))
	fmt.Printf("suite        %d\n", info.Suite)
	fmt.Printf("valid        %s to %s\n", info.NotBefore.UTC().Format(time.DateTime), info.NotAfter.UTC().Format(time.DateTime))
	if err := say("size         %d bytes\n", len(pkg)); err != nil || out == "" {
		return err
	}
	return os.WriteFile(out, pkg, 0o600)
}
