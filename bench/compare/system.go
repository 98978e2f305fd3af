package main

import (
	"context"
	"errors"
)

// Errors that callers tell apart.
var (
	errViolation = errors.New("the run is not correct") // lost, doubled or out of order
	errMissing   = errors.New("not installed")
	errUsage     = errors.New("bad flags")
)

// A system is one that the comparison measures.
type system interface {
	// name is what -systems calls it.
	name() string
	// guarantee says what is true of a message when its sender has the acknowledgement.
	guarantee() string
	// start runs the server as a process of its own, its data in dir, and returns when it takes connections.
	start(ctx context.Context, dir string, cfg *config) (broker, error)
}

// A broker is a running server.
type broker interface {
	// subscribe connects the member to the topic and returns when every message published from now on will reach it. deliver is called for one
	// message after another; then the message is acknowledged to the server.
	subscribe(ctx context.Context, topic, member int, deliver func(payload []byte), fail func(error)) error
	// publisher connects the sender of a topic, whose subscribers are all there. acked is called as messages are acknowledged, in their order.
	publisher(ctx context.Context, topic int, acked func(n int), fail func(error)) (publisher, error)
	pid() int
	// stop hangs up, ends the process and waits for it.
	stop() error
}

// A publisher sends messages to its topic, in order. It does not wait for their acknowledgement.
type publisher interface {
	publish(batch [][]byte) error
}
