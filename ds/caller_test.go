package ds

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
	"quicnprotochat/store"
)

// caller is a connection's capability, with calls that are easy to write down.
type caller struct {
	t  testing.TB
	f  *fixture
	c  *conn
	ds schemas.DeliveryService
}

func (f *fixture) caller(t testing.TB, peer byte) *caller {
	c := newConn(peer)
	k := &caller{t, f, c, f.client(c)}
	t.Cleanup(func() { k.ds.Release(); f.end(c) })
	return k
}

func (k *caller) enqueue(to, payload []byte) error {
	f, release := k.ds.Enqueue(context.Background(), func(p schemas.DeliveryService_enqueue_Params) error {
		return errors.Join(p.SetRecipientKey(to), p.SetPayload(payload))
	})
	defer release()
	_, err := f.Struct()
	return quicrpc.FromRPC(err)
}

func (k *caller) fetch(key []byte) (payloads [][]byte, err error) {
	f, release := k.ds.Fetch(context.Background(), func(p schemas.DeliveryService_fetch_Params) error { return p.SetRecipientKey(key) })
	defer release()
	r, err := f.Struct()
	if err != nil {
		return nil, quicrpc.FromRPC(err)
	}
	list, err := r.Payloads()
	for i := range list.Len() {
		b, e := list.At(i)
		err = errors.Join(err, e)
		payloads = append(payloads, bytes.Clone(b))
	}
	return payloads, err
}

type submission struct {
	id, group, payload []byte
	to                 [][]byte
}

func (k *caller) submit(submissions ...submission) (results [][]store.Result, err error) {
	f, release := k.send(submissions)
	defer release()
	return answers(f)
}

// send only sends, so that several calls are under way at once.
func (k *caller) send(submissions []submission) (schemas.DeliveryService_enqueueMany_Results_Future, func()) {
	f, release := k.ds.EnqueueMany(context.Background(), func(p schemas.DeliveryService_enqueueMany_Params) error {
		list, err := p.NewSubmissions(int32(len(submissions)))
		for i, s := range submissions {
			e := list.At(i)
			to, terr := e.NewRecipients(int32(len(s.to)))
			err = errors.Join(err, terr, e.SetId(s.id), e.SetGroupId(s.group), e.SetPayload(s.payload))
			for j := range s.to {
				err = errors.Join(err, to.Set(j, s.to[j]))
			}
		}
		return err
	})
	return f, release
}

func answers(f schemas.DeliveryService_enqueueMany_Results_Future) (results [][]store.Result, err error) {
	r, err := f.Struct()
	if err != nil {
		return nil, quicrpc.FromRPC(err)
	}
	list, err := r.Results()
	for i := range list.Len() {
		recipients, e := list.At(i).Recipients()
		err = errors.Join(err, e)
		row := make([]store.Result, recipients.Len())
		for j := range row {
			row[j] = store.Result{Status: store.Status(recipients.At(j).Status()), Seq: recipients.At(j).Seq()}
		}
		results = append(results, row)
	}
	return results, err
}

func (k *caller) acknowledge(cursors ...store.Cursor) error {
	f, release := k.ds.Acknowledge(context.Background(), func(p schemas.DeliveryService_acknowledge_Params) error {
		list, err := p.NewCursors(int32(len(cursors)))
		for i := range cursors {
			list.At(i).SetSeq(cursors[i].Seq)
			err = errors.Join(err, list.At(i).SetGroupId([]byte(cursors[i].Queue.Group)))
		}
		return err
	})
	defer release()
	_, err := f.Struct()
	return quicrpc.FromRPC(err)
}

func (k *caller) after(group string, seq uint64, messages, bytes uint32) (seqs []uint64, more bool, err error) {
	f, release := k.ds.FetchAfter(context.Background(), func(p schemas.DeliveryService_fetchAfter_Params) error {
		p.SetMaxMessages(messages)
		p.SetMaxBytes(bytes)
		c, err := p.NewCursor()
		if err != nil {
			return err
		}
		c.SetSeq(seq)
		return c.SetGroupId([]byte(group))
	})
	defer release()
	r, err := f.Struct()
	if err != nil {
		return nil, false, quicrpc.FromRPC(err)
	}
	list, err := r.Envelopes()
	for i := range list.Len() {
		seqs = append(seqs, list.At(i).Seq())
	}
	return seqs, r.More(), err
}

func (k *caller) queues(after string, max uint32) (groups []string, more bool, err error) {
	f, release := k.ds.Queues(context.Background(), func(p schemas.DeliveryService_queues_Params) error {
		p.SetMax(max)
		return p.SetAfterGroupId([]byte(after))
	})
	defer release()
	r, err := f.Struct()
	if err != nil {
		return nil, false, quicrpc.FromRPC(err)
	}
	list, err := r.Queues()
	for i := range list.Len() {
		g, e := list.At(i).GroupId()
		err = errors.Join(err, e)
		groups = append(groups, fmt.Sprintf("%s:%d-%d/%d/%d", g, list.At(i).Acknowledged(), list.At(i).Last(), list.At(i).Messages(), list.At(i).Bytes()))
	}
	return groups, r.More(), err
}

func id16(n int) []byte { return append(make([]byte, 14), byte(n>>8), byte(n)) }

func key(n byte) []byte { k := quicrpc.Peer{n}; return k[:] }
