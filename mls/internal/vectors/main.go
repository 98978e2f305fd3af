// Command vectors checks this module's MLS against the official test vectors of
// RFC 9420: the sixteen JSON files of the working group.
//
//	go run ./mls/internal/vectors DIR
//
// It prints one line for each file, "NAME run N skipped N failed N", then what
// failed, and exits with 1 when a case failed, was skipped or a file was missing.
package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
)

// hx is binary in lowercase hex.
type hx []byte

// UnmarshalJSON reads hex.
func (h *hx) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	v, err := hex.DecodeString(s)
	*h = v
	return err
}

// check checks one case.
type check func(raw json.RawMessage) error

func checkOf[T any](f func(*T) error) check {
	return func(raw json.RawMessage) error {
		var v T
		if err := json.Unmarshal(raw, &v); err != nil {
			return err
		}
		return f(&v)
	}
}

// files lists the vector files in the order of the output.
var files = []struct {
	name  string
	check check
}{
	{"deserialization", checkOf(deserialization)},
	{"tree-math", checkOf(treeMath)},
	{"crypto-basics", checkOf(cryptoBasics)},
	{"secret-tree", checkOf(secretTree)},
	{"message-protection", checkOf(messageProtection)},
	{"key-schedule", checkOf(keySchedule)},
	{"psk_secret", checkOf(pskSecret)},
	{"transcript-hashes", checkOf(transcriptHashes)},
	{"welcome", checkOf(welcome)},
	{"tree-operations", checkOf(treeOperations)},
	{"tree-validation", checkOf(treeValidation)},
	{"treekem", checkOf(treeKEM)},
	{"messages", checkOf(messages)},
	{"passive-client-welcome", checkOf(passiveClient)},
	{"passive-client-handling-commit", checkOf(passiveClient)},
	{"passive-client-random", checkOf(passiveClient)},
}

// errSkip marks a case that cannot be run here.
var errSkip = errors.New("skipped")

// result counts the cases of one file.
type result struct {
	name                 string
	run, skipped, failed int
	problems             []string
}

func (r *result) String() string {
	return fmt.Sprintf("%s run %d skipped %d failed %d", r.name, r.run, r.skipped, r.failed)
}

func (r *result) add(i int, err error) {
	switch {
	case errors.Is(err, errSkip):
		r.skipped++
	case err != nil:
		r.run++
		r.failed++
	default:
		r.run++
		return
	}
	r.problems = append(r.problems, fmt.Sprintf("%s case %d: %v", r.name, i, err))
}

// runFile checks all cases of one file.
func runFile(dir, name string, c check) *result {
	r := &result{name: name}
	b, err := os.ReadFile(filepath.Join(dir, name+".json"))
	var cases []json.RawMessage
	if err == nil {
		err = json.Unmarshal(b, &cases)
	}
	if err == nil && len(cases) == 0 {
		err = errors.New("no cases")
	}
	if err != nil {
		r.failed++
		r.problems = append(r.problems, fmt.Sprintf("%s: %v", name, err))
		return r
	}
	for i, raw := range cases {
		r.add(i, guarded(c, raw))
	}
	return r
}

// guarded turns a panic into a failure of its case.
func guarded(c check, raw json.RawMessage) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return c(raw)
}

func main() {
	if len(os.Args) != 2 || strings.HasPrefix(os.Args[1], "-") {
		fmt.Fprintln(os.Stderr, "usage: vectors DIR")
		os.Exit(2)
	}
	bad := false
	for _, f := range files {
		r := runFile(os.Args[1], f.name, f.check)
		fmt.Println(r)
		for _, p := range r.problems {
			fmt.Fprintln(os.Stderr, p)
		}
		bad = bad || len(r.problems) > 0
	}
	if bad {
		os.Exit(1)
	}
}
