package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"quicnprotochat/client"
)

func newUpload(g *globals) *cobra.Command {
	var resume string
	cmd := &cobra.Command{
		Use:   "upload FILE",
		Short: "Leave an encrypted file at the server; prints the reference that others download it by",
		Long: "Encrypts a file, of at most 100 MiB, and uploads it. Whoever has the printed reference can download and read it: send it to a group. The server keeps the file for a while\n" +
			"(30 days, unless it is run otherwise) and cannot read it. An upload that was cut off says how to go on with it.",
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := os.Open(args[0])
			if err != nil {
				return fmt.Errorf("%w: %w", errUsage, err)
			}
			defer f.Close()
			u, err := beginUpload(f, resume)
			if err != nil {
				return err
			}
			ref := u.Ref()
			text, err := ref.MarshalText()
			if err != nil {
				return err
			}
			err = g.transfer(cmd.Context(), func(ctx context.Context, s *client.Session) error {
				err := s.UploadBlob(ctx, u)
				if err != nil {
					fmt.Fprintf(os.Stderr, "go on with: quicnprotochat upload --resume %s %s\n", text, args[0])
				}
				return err
			})
			if err != nil {
				return err
			}
			return say("%s\n", text)
		},
	}
	cmd.Flags().StringVar(&resume, "resume", "", "go on with the upload of this `reference`")
	return cmd
}

func beginUpload(f *os.File, resume string) (*client.Upload, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is no file", errUsage, f.Name())
	}
	if resume == "" {
		return client.NewUpload(f, st.Size())
	}
	var ref client.BlobRef
	if err := ref.UnmarshalText([]byte(resume)); err != nil {
		return nil, fmt.Errorf("%w: --resume: %w", errUsage, err)
	}
	return client.ResumeUpload(ref, f, st.Size())
}

func newDownload(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "download REFERENCE FILE",
		Short: "Fetch a file that somebody uploaded",
		Long: "Downloads and decrypts what a reference stands for into FILE, which must not be there. Until all of it is there and checked it is FILE.part; a download that was cut off goes on\n" +
			"from that when it is repeated.",
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			var ref client.BlobRef
			if err := ref.UnmarshalText([]byte(args[0])); err != nil {
				return fmt.Errorf("%w: %w", errUsage, err)
			}
			return g.download(cmd.Context(), ref, args[1])
		},
	}
}

func (g *globals) download(ctx context.Context, ref client.BlobRef, path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s is there already", errUsage, path)
	}
	part := path + ".part"
	f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	defer f.Close()
	d, err := client.ResumeDownload(ref, f)
	if err != nil {
		return err
	}
	if err := f.Truncate(d.Written()); err != nil {
		return err
	}
	err = g.transfer(ctx, func(ctx context.Context, s *client.Session) error { return s.DownloadBlob(ctx, d, f) })
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(part, path)
	}
	if err == nil || d.Written() > 0 {
		return err
	}
	return errors.Join(err, os.Remove(part)) // nothing to go on from
}

// transfer connects, which has to be done in --timeout, and calls f, which takes as long as it takes.
func (g *globals) transfer(ctx context.Context, f func(ctx context.Context, s *client.Session) error) error {
	return g.withAccount(func(a *client.Account) error {
		opts, err := g.dialOptions()
		if err != nil {
			return err
		}
		dialing, cancel := context.WithTimeout(ctx, g.timeout)
		defer cancel()
		s, err := a.Dial(dialing, opts)
		if err != nil {
			return err
		}
		defer s.Close()
		return f(ctx, s)
	})
}
