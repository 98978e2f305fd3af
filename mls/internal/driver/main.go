// Command driver makes this module's MLS speak the line-oriented JSON protocol
// of the interoperability drivers: one request a line on standard input, one
// answer a line on standard output, binary as lowercase hex. Any implementation
// with such a driver, and through an adapter the working group's runner, can be
// put against it.
//
//	go run ./mls/internal/driver
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
)

// maxLine is the longest request in bytes: a tree of thousands of members in
// hex.
const maxLine = 64 << 20

// serve answers requests until the input ends.
func serve(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	d := newDriver()
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		if _, err := out.Write(append(d.answer(lines.Bytes()), '\n')); err != nil {
			return err
		}
	}
	return lines.Err()
}

func main() {
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "driver:", err)
		os.Exit(1)
	}
}
