package ds

import (
	"fmt"

	"capnproto.org/go/capnp/v3"

	"quicnprotochat/schemas"
	"quicnprotochat/store"
)

// Rough sizes of a frame's parts beside the payloads, bytes, so that a frame is built without growing.
const (
	frameOverhead    = 128
	envelopeOverhead = 80
)

// openFrame says which queue a stream carries, and after which seq.
func openFrame(q queueKey, after uint64, w window) (*capnp.Message, error) {
	m, seg, err := capnp.NewMessage(capnp.SingleSegment(make([]byte, 0, frameOverhead+store.MaxGroup)))
	if err != nil {
		return nil, err
	}
	f, err := schemas.NewRootPushFrame(seg)
	if err != nil {
		return nil, err
	}
	o, err := f.NewOpen()
	if err != nil {
		return nil, err
	}
	o.SetAfter(after)
	o.SetWindowMessages(w.messages)
	o.SetWindowBytes(w.bytes)
	o.SetShared(q.shared)
	return m, o.SetGroupId([]byte(q.group))
}

// deliverFrame holds messages, whose payloads sum up to size bytes.
func deliverFrame(messages []store.Delivery, size int) (*capnp.Message, error) {
	room := frameOverhead + len(messages)*envelopeOverhead + size
	m, seg, err := capnp.NewMessage(capnp.SingleSegment(make([]byte, 0, room)))
	if err != nil {
		return nil, err
	}
	f, err := schemas.NewRootPushFrame(seg)
	if err != nil {
		return nil, err
	}
	list, err := f.NewDeliver(int32(len(messages)))
	if err != nil {
		return nil, err
	}
	return m, setEnvelopes(list, messages)
}

// readAck returns the cursor that a reader sent.
func readAck(m *capnp.Message) (uint64, error) {
	a, err := schemas.ReadRootPushAck(m)
	if err != nil {
		return 0, fmt.Errorf("ds: acknowledgement: %w", err)
	}
	return a.UpTo(), nil
}
