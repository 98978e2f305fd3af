package ds

import (
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"capnproto.org/go/capnp/v3"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
	"quicnprotochat/store"
)

// submitStream is a SUBMIT stream without a network.
type submitStream struct {
	c       *conn
	frames  chan *capnp.Message
	answers chan *capnp.Message
	cut     chan struct{}
	once    sync.Once
	code    quicrpc.StreamErrorCode
	fin     bool

	mu         sync.Mutex
	read, held int
}

func newSubmitStream(c *conn) *submitStream {
	return &submitStream{c: c, frames: make(chan *capnp.Message, 4096), answers: make(chan *capnp.Message, 4), cut: make(chan struct{})}
}

func (s *submitStream) ReadRequest() (*capnp.Message, int64, error) {
	select {
	case <-s.cut:
		return nil, 0, errCut
	default:
	}
	select {
	case m, ok := <-s.frames:
		if !ok {
			return nil, 0, io.EOF
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.read++
		s.held++
		return m, 1, nil
	case <-s.cut:
		return nil, 0, errCut
	case <-s.c.ctx.Done():
		return nil, 0, s.c.ctx.Err()
	}
}

func (s *submitStream) Release(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held -= int(n)
}

func (s *submitStream) WriteMessage(m *capnp.Message) error {
	b, err := m.Marshal()
	if err != nil {
		return err
	}
	if m, err = capnp.Unmarshal(b); err != nil {
		return err
	}
	select {
	case s.answers <- m:
		return nil
	case <-s.cut:
		return errCut
	case <-s.c.ctx.Done():
		return s.c.ctx.Err()
	}
}

func (s *submitStream) CloseWrite() error { s.fin = true; close(s.answers); return nil }

func (s *submitStream) Cancel(code quicrpc.StreamErrorCode) {
	s.once.Do(func() { s.code = code; close(s.cut) })
}

func (s *submitStream) counts() (read, held int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.read, s.held
}

// submitting has the service serve a stream of c; over is closed when it has returned.
func (f *fixture) submitting(c *conn) (s *submitStream, over chan struct{}) {
	s, over = newSubmitStream(c), make(chan struct{})
	go func() { defer close(over); f.Submit(c, s) }()
	return s, over
}

func (s *submitStream) put(t testing.TB, fill func(schemas.SubmitFrame) error) {
	t.Helper()
	m, seg, err := capnp.NewMessage(capnp.SingleSegment(nil))
	if err != nil {
		t.Fatal(err)
	}
	f, err := schemas.NewRootSubmitFrame(seg)
	if err == nil {
		err = fill(f)
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.Marshal()
	if err == nil {
		m, err = capnp.Unmarshal(b)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.frames <- m
}

func (s *submitStream) submit(t testing.TB, submissions ...submission) {
	t.Helper()
	s.put(t, func(f schemas.SubmitFrame) error { return fillSubmissions(f.NewSubmissions, submissions) })
}

func fillSubmissions(make func(int32) (schemas.Submission_List, error), submissions []submission) error {
	list, err := make(int32(len(submissions)))
	for i, s := range submissions {
		e := list.At(i)
		to, terr := e.NewRecipients(int32(len(s.to)))
		err = errors.Join(err, terr, e.SetId(s.id), e.SetGroupId(s.group), e.SetPayload(s.payload))
		for j := range s.to {
			err = errors.Join(err, to.Set(j, s.to[j]))
		}
	}
	return err
}

// posting is a post as its sender says it.
type posting struct {
	group       string
	id, payload []byte
}

func fillPosts(make func(int32) (schemas.Post_List, error), posts []posting) error {
	list, err := make(int32(len(posts)))
	for i, p := range posts {
		e := list.At(i)
		err = errors.Join(err, e.SetGroupId([]byte(p.group)), e.SetId(p.id), e.SetPayload(p.payload))
	}
	return err
}

func (s *submitStream) post(t testing.TB, posts ...posting) {
	t.Helper()
	s.put(t, func(f schemas.SubmitFrame) error { return fillPosts(f.NewPosts, posts) })
}

// outcomeOf is one outcome of an answer.
type outcomeOf struct {
	status     schemas.EnqueueStatus
	seq, epoch uint64
}

// answer reads the next answer.
func (s *submitStream) answer(t testing.TB) ([]outcomeOf, error) {
	t.Helper()
	select {
	case m, ok := <-s.answers:
		if !ok {
			return nil, io.EOF
		}
		a, err := schemas.ReadRootSubmitAnswer(m)
		if err != nil {
			t.Fatal(err)
		}
		if a.Which() == schemas.SubmitAnswer_Which_failed {
			reason, err := a.Failed()
			if err != nil {
				t.Fatal(err)
			}
			return nil, quicrpc.FromReason(reason)
		}
		list, err := a.Outcomes()
		if err != nil {
			t.Fatal(err)
		}
		out := make([]outcomeOf, list.Len())
		for i := range out {
			out[i] = outcomeOf{list.At(i).Status(), list.At(i).Seq(), list.At(i).Epoch()}
		}
		return out, nil
	case <-s.cut:
		return nil, errCut
	case <-time.After(30 * time.Second):
		t.Fatal("no answer")
		return nil, nil
	}
}

// wantStored fails unless the next answer says that n messages from seq on are stored.
func (s *submitStream) wantStored(t testing.TB, n int, seq uint64) {
	t.Helper()
	out, err := s.answer(t)
	if err != nil || len(out) != n {
		t.Fatalf("%v, %v, want %d from %d on", out, err, n, seq)
	}
	for i, o := range out {
		if o.status != schemas.EnqueueStatus_stored || o.seq != seq+uint64(i) {
			t.Fatalf("outcome %+v, want %d", o, seq+uint64(i))
		}
	}
}

// wantOver fails unless the stream is over, and nothing of it is held.
func (s *submitStream) wantOver(t testing.TB, over <-chan struct{}) {
	t.Helper()
	select {
	case <-over:
	case <-time.After(30 * time.Second):
		t.Fatal("Submit does not return")
	}
	if read, held := s.counts(); held != 0 {
		t.Errorf("%d of %d frames are held", held, read)
	}
}

// lineStore is a store whose lines fail, or wait until they are told.
type lineStore struct {
	store.Store
	err  error
	gate chan struct{} // nil: none
}

func (s *lineStore) NewLine() store.Line { return &gatedLine{s: s, line: s.Store.NewLine()} }

// gatedLine hands over at once, and tells of it in order once the gate is open.
type gatedLine struct {
	s    *lineStore
	line store.Line
	last chan struct{} // the call before has been told of
}

func (l *gatedLine) tell(put func(func([]store.Result, error)), done func([]store.Result, error)) {
	if l.s.err != nil {
		done(nil, l.s.err)
		return
	}
	if l.s.gate == nil {
		put(done)
		return
	}
	before, told := l.last, make(chan struct{})
	l.last = told
	put(func(r []store.Result, err error) {
		go func() {
			defer close(told)
			<-l.s.gate
			if before != nil {
				<-before
			}
			done(r, err)
		}()
	})
}

func (l *gatedLine) Enqueue(m []store.Message, done func([]store.Result, error)) {
	l.tell(func(d func([]store.Result, error)) { l.line.Enqueue(m, d) }, done)
}

func (l *gatedLine) Append(p []store.Post, done func([]store.Result, error)) {
	l.tell(func(d func([]store.Result, error)) { l.line.Append(p, d) }, done)
}
