package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"quicnprotochat/load"
	"quicnprotochat/load/report"
)

func newReport() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "report RESULT.json... -o out.html",
		Short: "Make a page with plots of results",
		Long:  "Results of the same scenario are drawn over one another; those that differ in one size give curves of growth.",
		Args:  usage(cobra.MinimumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			if out == "" {
				return fmt.Errorf("%w: -o says where the report goes", errUsage)
			}
			var runs []report.Run
			for _, name := range args {
				r, err := load.ReadResult(name)
				if err != nil {
					return fmt.Errorf("%w: %w", load.ErrConfig, err)
				}
				runs = append(runs, report.Run{Name: strings.TrimSuffix(filepath.Base(name), ".json"), Result: r})
			}
			return writeFile(out, func(w io.Writer) error { return report.Write(w, runs) })
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "`file` for the report")
	return cmd
}

// writeFile makes a file, and leaves none that is not whole. What was no file before, a device say, it leaves.
func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("%w: %w", load.ErrConfig, err)
	}
	info, err := f.Stat()
	if err := errors.Join(err, write(f), f.Close()); err != nil {
		if info != nil && info.Mode().IsRegular() {
			err = errors.Join(err, os.Remove(name))
		}
		return err
	}
	return nil
}

// writable says in time, before a run, that writeFile could not make a file. It changes nothing.
func writable(name string) error {
	if name == "" {
		return nil
	}
	_, before := os.Lstat(name)
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return fmt.Errorf("%w: %w", load.ErrConfig, err)
	}
	err = f.Close()
	if errors.Is(before, os.ErrNotExist) {
		err = errors.Join(err, os.Remove(name))
	}
	return err
}

// withLines has f write to a file, and minds that a disk may be full only when the file is closed. Without a name, what it writes goes nowhere. What was in the file stays
// until the first line comes: a bad flag shall not cost the results of before.
func withLines(name string, f func(io.Writer) error) error {
	if name == "" {
		return f(io.Discard)
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return fmt.Errorf("%w: %w", load.ErrConfig, err)
	}
	err = f(&lines{File: file})
	if e := file.Close(); err == nil {
		err = e
	}
	return err
}

// lines is a file that is emptied when it is written to.
type lines struct {
	*os.File
	begun bool
}

func (l *lines) Write(b []byte) (int, error) {
	if !l.begun {
		l.begun = true
		if info, err := l.Stat(); err == nil && info.Mode().IsRegular() { // what is none, a pipe say, cannot be emptied
			if err := l.Truncate(0); err != nil {
				return 0, err
			}
		}
	}
	return l.File.Write(b)
}
