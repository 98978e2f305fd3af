package client

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"capnproto.org/go/capnp/v3"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
)

// pushed is a PUSH stream that brings frames, and then ends in good order.
type pushed struct {
	ackLog
	frames []*capnp.Message
	ends   []string // what was done to it, in order
}

func (p *pushed) ReadMessage() (*capnp.Message, error) {
	if len(p.frames) == 0 {
		return nil, io.EOF
	}
	m := p.frames[0]
	p.frames = p.frames[1:]
	return m, nil
}

func (p *pushed) WriteMessage(m *capnp.Message) error {
	if len(p.ends) > 0 {
		return errors.New("this side has ended")
	}
	return p.ackLog.WriteMessage(m)
}

func (p *pushed) CloseWrite() error              { p.ends = append(p.ends, "close write"); return nil }
func (p *pushed) Close() error                   { p.ends = append(p.ends, "close"); return nil }
func (p *pushed) Cancel(quicrpc.StreamErrorCode) { p.ends = append(p.ends, "cancel") }

func frameOf(t *testing.T, fill func(schemas.PushFrame) error) *capnp.Message {
	m, seg, err := capnp.NewMessage(capnp.SingleSegment(nil))
	if err != nil {
		t.Fatal(err)
	}
	f, err := schemas.NewRootPushFrame(seg)
	if err == nil {
		err = fill(f)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func newPushed(t *testing.T, seqs ...uint64) *pushed {
	p := &pushed{ackLog: ackLog{start: time.Now()}}
	p.frames = append(p.frames, frameOf(t, func(f schemas.PushFrame) error {
		o, err := f.NewOpen()
		if err != nil {
			return err
		}
		o.SetWindowMessages(1000)
		o.SetWindowBytes(1 << 20)
		return o.SetGroupId([]byte("g"))
	}))
	for _, seq := range seqs {
		p.frames = append(p.frames, frameOf(t, func(f schemas.PushFrame) error {
			list, err := f.NewDeliver(1)
			if err != nil {
				return err
			}
			e := list.At(0)
			e.SetSeq(seq)
			return errors.Join(e.SetId(make([]byte, 16)), e.SetPayload([]byte("x")))
		}))
	}
	return p
}

// TestServePushAcknowledges: what a handler took is acknowledged before the stream ends, whoever ends it.
func TestServePushAcknowledges(t *testing.T) {
	fails := errors.New("handler's")
	for name, c := range map[string]struct {
		at   uint64 // fails with
		err  error
		acks []uint64
		want error
		end  string
	}{
		"to its end": {0, nil, []uint64{1, 4}, nil, "close write"}, "not now": {4, ErrLater, []uint64{1, 3}, nil, "close"}, "failed": {3, fails, []uint64{1, 2}, fails, "cancel"},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newPushed(t, 1, 2, 3, 4)
			err := servePush(t.Context(), p, &ListenOptions{}, func(_ context.Context, q Queue, batch []Envelope) error {
				if batch[0].Seq == c.at {
					return c.err
				}
				return nil
			})
			synctest.Wait()
			if !errors.Is(err, c.want) || !slices.Equal(p.upTo, c.acks) || len(p.ends) == 0 || p.ends[0] != c.end {
				t.Errorf("%s: %v, acknowledged %v, then %v; want %v, then %s", name, err, p.upTo, p.ends, c.acks, c.end)
			}
		})
	}
}
