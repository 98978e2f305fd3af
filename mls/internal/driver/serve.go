package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxLine is the longest request in bytes: the ratchet tree of some ten thousand
// members in hex fits.
const maxLine = 16 << 20

var errLineTooLong = fmt.Errorf("request line is longer than %d bytes", maxLine)

// answer holds the fields of an answer, but for ok.
type answer map[string]any

// serve answers requests until the input ends.
func (d *driver) serve(in io.Reader, out io.Writer) error {
	r := bufio.NewReaderSize(in, 64<<10)
	w := bufio.NewWriter(out)
	for {
		line, err := readLine(r)
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, errLineTooLong):
			err = reply(w, nil, err)
		case err != nil:
			return err
		case len(bytes.TrimSpace(line)) == 0:
			continue
		default:
			a, failed := d.handle(line)
			err = reply(w, a, failed)
		}
		if err != nil {
			return err
		}
	}
}

// readLine returns the next line without its end. A line that is too long is
// read to its end but not kept.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	tooLong := false
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > maxLine {
			tooLong, line = true, nil
		}
		if !tooLong {
			line = append(line, part...)
		}
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err != nil && (err != io.EOF || len(line) == 0 && !tooLong):
			return nil, err
		case tooLong:
			return nil, errLineTooLong
		}
		return line, nil
	}
}

func reply(w *bufio.Writer, a answer, failed error) error {
	if failed != nil {
		a = answer{"error": failed.Error()}
	} else if a == nil {
		a = answer{}
	}
	a["ok"] = failed == nil
	b, err := json.Marshal(a)
	if err != nil {
		return err
	}
	if _, err := w.Write(append(b, '\n')); err != nil {
		return err
	}
	return w.Flush()
}
