package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"quicnprotochat/client"
)

// readInput is readLines that gives up waiting for its input when ctx ends: a read from a terminal cannot be broken off.
func readInput(ctx context.Context, r io.Reader) ([][]byte, error) {
	type result struct {
		lines [][]byte
		err   error
	}
	done := make(chan result, 1)
	go func() {
		lines, err := readLines(r)
		done <- result{lines, err}
	}()
	select {
	case res := <-done:
		return res.lines, res.err
	case <-ctx.Done():
		return nil, ctx.Err() // the goroutine goes with the process
	}
}

// readLines reads messages, one a line, empty lines left out. A line that cannot be sent is an error before anything is sent.
func readLines(r io.Reader) (lines [][]byte, err error) {
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 64<<10), client.MaxText+1)
	for sc.Scan() {
		if len(sc.Bytes()) > 0 {
			lines = append(lines, append([]byte(nil), sc.Bytes()...))
		}
	}
	if errors.Is(sc.Err(), bufio.ErrTooLong) {
		return nil, fmt.Errorf("%w: line %d", client.ErrTooLarge, len(lines)+1)
	}
	if sc.Err() == nil && len(lines) == 0 {
		return nil, fmt.Errorf("%w: no message", errUsage)
	}
	return lines, sc.Err()
}
