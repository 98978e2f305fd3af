package storetest

import (
	"context"
	"testing"
	"time"

	"quicnprotochat/store"
)

// Basic is an engine of messages and KeyPackages.
type Basic interface {
	store.Messages
	store.KeyPackages
	Sweep(ctx context.Context, budget int) (store.SweepResult, error)
	Stats() store.Stats
	Failed() <-chan struct{}
	Close() error
}

// Engine is a whole engine.
type Engine interface {
	Basic
	store.SuitePools
	store.Groups
	store.Records
	store.Blobs
	store.Backup
	store.Lines
}

// Config is what a test asks of an engine.
type Config struct {
	Quota store.Quota
	Clock func() time.Time
}

// Opened is a new, empty engine. The suite closes it.
type Opened[E Basic] struct {
	Store E
	// Restart closes the store and opens what is on disk; nil for an engine that keeps nothing.
	Restart func() E
	// Copy opens what Snapshot wrote to dir, of which there is a new one at each call of Dir; nil for an engine that keeps nothing.
	Copy func(dir string) E
	Dir  func() string
}

// Open makes an engine for a test, and closes with the test what it opened beside it.
type Open[E Basic] func(t *testing.T, c Config) Opened[E]

// test is one test of a suite.
type test struct {
	name string
	f    func(t *testing.T, e *engine)
}

// RunBasic holds an engine to the rules of messages and KeyPackages. open is called once a test or more.
func RunBasic[E Basic](t *testing.T, open Open[E]) {
	run(t, basicTests, func(t *testing.T, c Config) Opened[Engine] {
		o := open(t, c)
		whole := Opened[Engine]{Store: basicOnly{Basic: o.Store}}
		if o.Restart != nil {
			whole.Restart = func() Engine { return basicOnly{Basic: o.Restart()} }
		}
		return whole
	})
}

// Run holds an engine to all rules of package store. open is called once a test or more.
func Run[E Engine](t *testing.T, open Open[E]) {
	suite := append(append([]test(nil), basicTests...), wholeTests...)
	run(t, suite, func(t *testing.T, c Config) Opened[Engine] {
		o := open(t, c)
		whole := Opened[Engine]{Store: o.Store, Dir: o.Dir}
		if o.Restart != nil {
			whole.Restart = func() Engine { return o.Restart() }
		}
		if o.Copy != nil {
			whole.Copy = func(dir string) Engine { return o.Copy(dir) }
		}
		return whole
	})
}

func run(t *testing.T, suite []test, open Open[Engine]) {
	for _, test := range suite {
		t.Run(test.name, func(t *testing.T) {
			test.f(t, &engine{T: t, open: open, now: time.Unix(1_750_000_000, 0)})
		})
	}
}

// basicOnly has what the basic tests call; they call nothing else.
type basicOnly struct {
	Basic
	store.SuitePools
	store.Groups
	store.Records
	store.Blobs
	store.Backup
	store.Lines
}
