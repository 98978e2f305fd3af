package main

import (
	"bytes"
	"fmt"
)

// pair is a value computed here beside the one expected.
type pair struct {
	what      string
	got, want []byte
}

// compare returns an error for the first difference.
func compare(pairs ...pair) error {
	for _, p := range pairs {
		if !bytes.Equal(p.got, p.want) {
			return fmt.Errorf("%s is %x, want %x", p.what, p.got, p.want)
		}
	}
	return nil
}

// first returns the first error.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
