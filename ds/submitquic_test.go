package ds_test

import (
	"encoding/binary"
	"errors"
	"sync"
	"testing"

	"capnproto.org/go/capnp/v3"

	"quicnprotochat/ds"
	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
)

// submitFrame is a frame of one message for a recipient, whose id holds n.
func submitFrame(to quicrpc.Peer, group string, n uint64) (*capnp.Message, error) {
	m, seg, err := capnp.NewMessage(capnp.SingleSegment(nil))
	if err != nil {
		return nil, err
	}
	f, err := schemas.NewRootSubmitFrame(seg)
	if err != nil {
		return nil, err
	}
	list, err := f.NewSubmissions(1)
	if err != nil {
		return nil, err
	}
	e := list.At(0)
	r, err := e.NewRecipients(1)
	id := binary.BigEndian.AppendUint64(make([]byte, 8), n)
	return m, errors.Join(err, r.Set(0, to[:]), e.SetId(id), e.SetGroupId([]byte(group)), e.SetPayload(make([]byte, 100)))
}

// TestQUICSubmit: two senders stream to a listening client, over hotlog, each more than the server reads ahead: answers come in order, and all of it is pushed.
func TestQUICSubmit(t *testing.T) {
	s := serve(t, ds.Limits{})
	bobCert, bob := identity(t)
	phone := s.dial(t, bobCert)
	phone.listen(t)
	const each = 1500
	var all sync.WaitGroup
	defer all.Wait()
	for sender := range uint64(2) {
		cert, _ := identity(t)
		stream, err := s.dial(t, cert).OpenSubmit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			for n := range uint64(each) {
				m, err := submitFrame(bob, "g", sender<<32|n)
				if err == nil {
					err = stream.WriteMessage(m)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
			_ = stream.CloseWrite()
		})
		all.Go(func() {
			last := uint64(0)
			for n := range each {
				m, err := stream.ReadMessage()
				if err != nil {
					t.Errorf("answer %d: %v", n, err)
					return
				}
				a, err := schemas.ReadRootSubmitAnswer(m)
				if err != nil || a.Which() != schemas.SubmitAnswer_Which_outcomes {
					t.Errorf("answer %d: kind %v, %v", n, a.Which(), err)
					return
				}
				list, err := a.Outcomes()
				if err != nil || list.Len() != 1 || list.At(0).Status() != schemas.EnqueueStatus_stored || list.At(0).Seq() <= last {
					t.Errorf("answer %d: %d outcomes, %v", n, list.Len(), err)
					return
				}
				last = list.At(0).Seq()
			}
		})
	}
	if err := phone.accept(t).read(2 * each); err != nil {
		t.Error(err)
	}
	if n := s.ds.Calls()["submit"]; n != 2*each {
		t.Errorf("%d frames counted", n)
	}
}
