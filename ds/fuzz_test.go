package ds

import (
	"testing"

	"capnproto.org/go/capnp/v3"

	"quicnprotochat/schemas"
	"quicnprotochat/store"
)

// arguments unmarshals what a peer may send as the arguments of a call.
func arguments(b []byte) (*capnp.Message, bool) {
	if len(b) > 1<<16 {
		return nil, false
	}
	m, err := capnp.Unmarshal(b)
	return m, err == nil
}

// FuzzSubmissions: whatever the arguments of enqueueMany are, they are refused or within every limit.
func FuzzSubmissions(f *testing.F) {
	for _, n := range []int{1, 3} {
		m, seg, _ := capnp.NewMessage(capnp.SingleSegment(nil))
		p, _ := schemas.NewRootDeliveryService_enqueueMany_Params(seg)
		list, _ := p.NewSubmissions(int32(n))
		for i := range n {
			e := list.At(i)
			r, _ := e.NewRecipients(1)
			if e.SetId(make([]byte, 16)) != nil || e.SetPayload([]byte("payload")) != nil || r.Set(0, make([]byte, 32)) != nil {
				f.Fatal("no corpus")
			}
		}
		b, err := m.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	s := New(Config{Limits: Limits{MaxPayload: 1000, MaxBatch: 8, MaxRecipients: 8, MaxStoredBytes: 4000}})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, ok := arguments(b)
		if !ok {
			return
		}
		p, err := schemas.ReadRootDeliveryService_enqueueMany_Params(m)
		if err != nil {
			return
		}
		list, err := p.Submissions()
		if err != nil {
			return
		}
		messages, recipients, err := s.submissions(list)
		if err != nil {
			return
		}
		sum, size := 0, 0
		for _, n := range recipients {
			sum += n
		}
		for _, m := range messages {
			size += len(m.Payload)
		}
		if len(recipients) > 8 || sum != len(messages) || sum > 8 || size > 4000 || store.CheckMessages(messages) != nil {
			t.Fatalf("%d submissions, %d messages, %d recipients, %d bytes", len(recipients), len(messages), sum, size)
		}
	})
}

// FuzzCursors: as FuzzSubmissions, for the cursors of acknowledge and listen, and the acknowledgements on PUSH streams.
func FuzzCursors(f *testing.F) {
	m, seg, _ := capnp.NewMessage(capnp.SingleSegment(nil))
	p, _ := schemas.NewRootDeliveryService_acknowledge_Params(seg)
	list, _ := p.NewCursors(2)
	list.At(1).SetSeq(7)
	if list.At(0).SetGroupId([]byte("group")) != nil {
		f.Fatal("no corpus")
	}
	b, err := m.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	c := &server{s: New(Config{})}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, ok := arguments(b)
		if !ok {
			return
		}
		_, _ = readAck(m)
		p, err := schemas.ReadRootDeliveryService_acknowledge_Params(m)
		if err != nil {
			return
		}
		list, err := p.Cursors()
		if err != nil {
			return
		}
		cursors, err := c.cursors(list, maxCursors)
		if err != nil {
			return
		}
		for i := range cursors {
			if len(cursors) > maxCursors || store.CheckGroup(cursors[i].Queue.Group) != nil {
				t.Fatalf("%d cursors, group of %d bytes", len(cursors), len(cursors[i].Queue.Group))
			}
		}
	})
}

// FuzzSubmitFrames: whatever a frame on a SUBMIT stream is, it is answered within every limit or ends the stream, nothing of it is held, and the next stream works.
func FuzzSubmitFrames(f *testing.F) {
	for _, fill := range []func(schemas.SubmitFrame) error{
		func(f schemas.SubmitFrame) error {
			return fillSubmissions(f.NewSubmissions, []submission{one(1), one(2)})
		},
		func(f schemas.SubmitFrame) error {
			return fillPosts(f.NewPosts, []posting{{testGroup, id16(1), mlsHeader(privateMessage, testGroup, 0, application)}})
		},
		func(f schemas.SubmitFrame) error { capnp.Struct(f).SetUint16(0, 77); return nil },
	} {
		m, seg, _ := capnp.NewMessage(capnp.SingleSegment(nil))
		frame, _ := schemas.NewRootSubmitFrame(seg)
		if err := fill(frame); err != nil {
			f.Fatal(err)
		}
		b, err := m.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, ok := arguments(b)
		if !ok {
			return
		}
		s := start(Limits{MaxPayload: 1000, MaxBatch: 8, MaxRecipients: 8, MaxStoredBytes: 4000})
		defer s.Close()
		stream, over := s.submitting(newConn(1))
		stream.frames <- m
		close(stream.frames)
		out, err := stream.answer(t)
		if err == nil && (len(out) < 1 || len(out) > 8) {
			t.Fatalf("%d outcomes", len(out))
		}
		stream.wantOver(t, over)
	})
}
