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
