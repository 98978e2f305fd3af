package client

import (
	"errors"
	"testing"

	capnp "capnproto.org/go/capnp/v3"

	"quicnprotochat/schemas"
)

// pushSeed encodes one push frame.
func pushSeed(f *testing.F, build func(schemas.PushFrame) error) []byte {
	f.Helper()
	msg, seg, err := capnp.NewMessage(capnp.SingleSegment(nil))
	if err != nil {
		f.Fatal(err)
	}
	frame, err := schemas.NewRootPushFrame(seg)
	if err == nil {
		err = build(frame)
	}
	if err != nil {
		f.Fatal(err)
	}
	data, err := msg.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	return data
}

// FuzzPushFrame: whatever a server pushes, a client gets ascending envelopes or a typed error.
func FuzzPushFrame(f *testing.F) {
	f.Add(pushSeed(f, func(frame schemas.PushFrame) error {
		open, err := frame.NewOpen()
		if err != nil {
			return err
		}
		open.SetAfter(7)
		return open.SetGroupId([]byte("group"))
	}), uint64(0))
	f.Add(pushSeed(f, func(frame schemas.PushFrame) error {
		list, err := frame.NewDeliver(2)
		if err != nil {
			return err
		}
		for i := range 2 {
			e := list.At(i)
			e.SetSeq(uint64(8 + i))
			if err := e.SetId(make([]byte, 16)); err != nil {
				return err
			}
			if err := e.SetPayload([]byte("payload")); err != nil {
				return err
			}
		}
		return nil
	}), uint64(7))
	f.Fuzz(func(t *testing.T, data []byte, after uint64) {
		msg, err := capnp.Unmarshal(data)
		if err != nil {
			return
		}
		frame, err := schemas.ReadRootPushFrame(msg)
		if err != nil {
			return
		}
		if o, err := parseOpen(frame); err != nil && !errors.Is(err, ErrProtocol) || len(o.queue.Group) > maxGroupID {
			t.Fatalf("open: %q %v", o.queue.Group, err)
		}
		batch, err := parseDeliver(frame, after)
		if err != nil {
			if !errors.Is(err, ErrProtocol) {
				t.Fatalf("deliver: %v", err)
			}
			return
		}
		for _, e := range batch {
			if e.Seq <= after {
				t.Fatalf("seq %d after %d", e.Seq, after)
			}
			after = e.Seq
		}
	})
}
