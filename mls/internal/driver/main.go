// Command driver puts package mls behind a line-oriented protocol, so that
// other implementations of MLS can be set against it: one JSON request a line on
// standard input, one JSON answer a line on standard output, binary as lowercase
// hex.
//
//	{"op":"new","name":"alice","suite":1}      {"id":1,"identity":"616c696365","ok":true,...}
//	{"op":"create_group","id":1,"group_id":"00"}  {"epoch":0,"group":"00","ok":true}
//	{"op":"nonsense"}                          {"error":"unknown op nonsense","ok":false}
//
// A client is one actor with its KeyPackages and its groups. "group" names one of
// its groups, and is by default the one that it last created, joined or used. A
// request that fails has no effect, and the driver lives on until its input ends.
//
// It is a tool for tests: secrets are registered and exported in the clear.
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := newDriver().serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "driver:", err)
		os.Exit(1)
	}
}
