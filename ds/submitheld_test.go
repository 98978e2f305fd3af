package ds

import (
	"runtime"
	"testing"
	"time"
	"weak"

	"quicnprotochat/store"
)

// seenLine notes what it is given, without holding on to it.
type seenLine struct {
	store.Line
	messages chan weak.Pointer[store.Message]
	posts    chan weak.Pointer[store.Post]
}

func (l *seenLine) Enqueue(m []store.Message, done func([]store.Result, error)) {
	l.messages <- weak.Make(&m[0])
	l.Line.Enqueue(m, done)
}

func (l *seenLine) Append(p []store.Post, done func([]store.Result, error)) {
	l.posts <- weak.Make(&p[0])
	l.Line.Append(p, done)
}

type seenStore struct {
	store.Store
	line *seenLine
}

func (s *seenStore) NewLine() store.Line {
	s.line.Line = s.Store.NewLine()
	return s.line
}

// TestSubmitLetsGo: while answers wait to be read, no more is held of their frames than these need.
func TestSubmitLetsGo(t *testing.T) {
	f := start(Limits{})
	defer f.Close()
	l := &seenLine{messages: make(chan weak.Pointer[store.Message], maxUnanswered), posts: make(chan weak.Pointer[store.Post], maxUnanswered)}
	f.Service.store = &seenStore{f.store, l}
	stream, over := f.submitting(newConn(2))
	const frames = 16 // more than the stream takes answers for that nobody reads
	for n := range frames / 2 {
		stream.submit(t, one(n))
		stream.post(t, posting{testGroup, id16(n), mlsHeader(privateMessage, testGroup, 0, application)})
	}
	for range frames / 2 {
		m, p := <-l.messages, <-l.posts
		for began := time.Now(); m.Value() != nil || p.Value() != nil; runtime.GC() {
			if time.Since(began) > 20*time.Second {
				t.Fatal("held until the answer is read")
			}
		}
	}
	close(stream.frames)
	for range frames {
		if out, err := stream.answer(t); err != nil || len(out) != 1 {
			t.Fatal(out, err)
		}
	}
	stream.wantOver(t, over)
}
