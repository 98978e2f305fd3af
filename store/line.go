package store

import "context"

// Lines is the part of an engine that stores what comes in a stream, without a goroutine that waits for the disk.
type Lines interface {
	// NewLine returns a line of the caller's own.
	NewLine() Line
}

// A Line stores what one sender hands to it, in that order, and tells later what became of it. For one goroutine at a time; nothing is to be closed.
type Line interface {
	// Enqueue is Messages.Enqueue in two steps: it returns once the messages have their place, before those that are handed over later, and then done is called, once,
	// with what Enqueue would have returned. It waits while much that it was given is not done. done may be called before Enqueue returns, and out of order with others; it must not block, nor use the
	// store. The messages must not change until then. Close waits for done.
	Enqueue(messages []Message, done func([]Result, error))

	// Append is Groups.Append, in the same way.
	Append(posts []Post, done func([]Result, error))
}

// WaitingLine is a line for an engine that has none of its own: it waits for each call.
func WaitingLine(s interface {
	Messages
	Groups
}) Line {
	return waitingLine{s.Enqueue, s.Append}
}

type waitingLine struct {
	enqueue func(context.Context, []Message) ([]Result, error)
	append  func(context.Context, []Post) ([]Result, error)
}

func (l waitingLine) Enqueue(messages []Message, done func([]Result, error)) {
	done(l.enqueue(context.Background(), messages))
}

func (l waitingLine) Append(posts []Post, done func([]Result, error)) {
	done(l.append(context.Background(), posts))
}
