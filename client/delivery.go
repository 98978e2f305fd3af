package client

import (
	"context"
	"time"

	"quicnprotochat/certs"
	"quicnprotochat/schemas"
)

// MessageID is the sender's 16 random bytes by which a message is known again.
type MessageID [16]byte

// Submission is one message for one or more recipients. Group empty: their inboxes (Welcomes), else their queues of that group.
type Submission struct {
	ID         MessageID
	Group      string
	Payload    []byte
	Recipients []certs.Identity
	Blobs      [][32]byte // hashes of blobs, uploaded before, that live as long as the message
}

// Outcome is what became of a submission for one recipient.
type Outcome struct {
	Status schemas.EnqueueStatus
	Seq    uint64
}

// Envelope is one delivered message. Payload belongs to the receiver.
type Envelope struct {
	Seq        uint64
	ID         MessageID
	Payload    []byte
	AcceptedAt time.Time
}

// Queue names one of the caller's queues: its inbox (Group empty), or the order of a group that all its members read (Shared), or a queue of the caller's
// own of that name.
type Queue struct {
	Group  string
	Shared bool
}

// Cursor is a place in one of the caller's queues: everything up to and including Seq.
type Cursor struct {
	Queue
	Seq uint64
}

// QueueStatus describes one of the caller's queues.
type QueueStatus struct {
	Queue
	Acknowledged, Last uint64
	Messages, Bytes    uint64
}

// Submit stores submissions, in order, and returns for each the outcomes in the order of its recipients. What it reports as stored or
// duplicate is on the server's disk. Repeating a failed Submit with the same ids is safe.
func (s *Session) Submit(ctx context.Context, subs []Submission) ([][]Outcome, error) {
	return s.submit(ctx, subs, nil)
}

// submit passes the receipt, and the outcomes that it is for, to check; nil: none is asked for.
func (s *Session) submit(ctx context.Context, subs []Submission, check func(schemas.Receipt, [][]Outcome) error) ([][]Outcome, error) {
	if check != nil {
		return s.submitForReceipt(ctx, subs, check)
	}
	wait, err := s.startSubmit(ctx, subs, false)
	if err != nil {
		return nil, err
	}
	return wait()
}

// StartSubmit is Submit in two steps, for who goes on meanwhile: it returns once the submissions are under way, and wait, which must be called once, gives their outcome; it
// may come some milliseconds later than Submit's. What one goroutine starts is stored in the order in which it started it.
func (s *Session) StartSubmit(ctx context.Context, subs []Submission) (wait func() ([][]Outcome, error), err error) {
	return s.startSubmit(ctx, subs, true)
}

func (s *Session) startSubmit(ctx context.Context, subs []Submission, relaxed bool) (func() ([][]Outcome, error), error) {
	n, size := 0, frameOverhead
	for i := range subs {
		n += len(subs[i].Recipients)
		size += messageOverhead + len(subs[i].Group) + len(subs[i].Payload) + recipientOverhead*len(subs[i].Recipients) + blobOverhead*len(subs[i].Blobs)
	}
	f, err := s.startFrame(ctx, size, relaxed, func(to schemas.SubmitFrame) error { return putSubmissions(to.NewSubmissions, subs) })
	if err != nil {
		return nil, err
	}
	return func() ([][]Outcome, error) {
		list, err := f.wait(ctx, n)
		if err != nil {
			return nil, err
		}
		flat, out := make([]Outcome, n), make([][]Outcome, len(subs))
		for i := range flat {
			flat[i] = Outcome{Status: list.At(i).Status(), Seq: list.At(i).Seq()}
		}
		for i := range subs {
			k := len(subs[i].Recipients)
			out[i], flat = flat[:k:k], flat[k:]
		}
		return out, nil
	}, nil
}

// submitForReceipt submits by the call that gives receipts.
func (s *Session) submitForReceipt(ctx context.Context, subs []Submission, check func(schemas.Receipt, [][]Outcome) error) ([][]Outcome, error) {
	ds, rpc, err := s.ds(ctx)
	if err != nil {
		return nil, err
	}
	defer rpc.release()
	f, release := ds.EnqueueMany(ctx, func(p schemas.DeliveryService_enqueueMany_Params) error {
		p.SetReceipts(true)
		return putSubmissions(p.NewSubmissions, subs)
	})
	defer release()
	res, err := f.Struct()
	if err != nil {
		return nil, rpc.Err(err)
	}
	out, err := readOutcomes(res, subs)
	if err != nil {
		return nil, err
	}
	return out, checkReceipt(res.Receipt, func(r schemas.Receipt) error { return check(r, out) })
}

func readOutcomes(res schemas.DeliveryService_enqueueMany_Results, subs []Submission) ([][]Outcome, error) {
	results, err := res.Results()
	if err != nil || results.Len() != len(subs) {
		return nil, protocolErrorf("enqueueMany: %d results for %d submissions", results.Len(), len(subs))
	}
	out := make([][]Outcome, len(subs))
	for i := range subs {
		list, err := results.At(i).Recipients()
		if err != nil || list.Len() != len(subs[i].Recipients) {
			return nil, protocolErrorf("enqueueMany: %d outcomes for %d recipients", list.Len(), len(subs[i].Recipients))
		}
		out[i] = make([]Outcome, list.Len())
		for j := range out[i] {
			out[i][j] = Outcome{Status: list.At(j).Status(), Seq: list.At(j).Seq()}
		}
	}
	return out, nil
}

func putSubmissions(make func(int32) (schemas.Submission_List, error), subs []Submission) error {
	list, err := make(int32(len(subs)))
	if err != nil {
		return err
	}
	for i, sub := range subs {
		e := list.At(i)
		if err := e.SetId(sub.ID[:]); err != nil {
			return err
		}
		if err := e.SetGroupId([]byte(sub.Group)); err != nil {
			return err
		}
		if err := e.SetPayload(sub.Payload); err != nil {
			return err
		}
		rs, err := e.NewRecipients(int32(len(sub.Recipients)))
		if err != nil {
			return err
		}
		for j, r := range sub.Recipients {
			if err := rs.Set(j, r[:]); err != nil {
				return err
			}
		}
		if err := putBlobs(e.NewBlobs, sub.Blobs); err != nil {
			return err
		}
	}
	return nil
}

// FetchAfter reads messages of one of the caller's queues above the cursor; more says that there are more. Nothing is removed.
func (s *Session) FetchAfter(ctx context.Context, c Cursor) (envelopes []Envelope, more bool, err error) {
	ds, rpc, err := s.ds(ctx)
	if err != nil {
		return nil, false, err
	}
	defer rpc.release()
	f, release := ds.FetchAfter(ctx, func(p schemas.DeliveryService_fetchAfter_Params) error {
		cur, err := p.NewCursor()
		if err != nil {
			return err
		}
		cur.SetSeq(c.Seq)
		cur.SetShared(c.Shared)
		return cur.SetGroupId([]byte(c.Group))
	})
	defer release()
	res, err := f.Struct()
	if err != nil {
		return nil, false, rpc.Err(err)
	}
	list, err := res.Envelopes()
	if err != nil {
		return nil, false, protocolErrorf("fetchAfter: %v", err)
	}
	envelopes, err = readEnvelopes(list, c.Seq)
	return envelopes, res.More(), err
}

// readEnvelopes copies envelopes out of a message and checks that they ascend from above after.
func readEnvelopes(list schemas.Envelope_List, after uint64) ([]Envelope, error) {
	out := make([]Envelope, list.Len())
	for i := range out {
		e := list.At(i)
		id, err := e.Id()
		if err != nil || len(id) != len(MessageID{}) {
			return nil, protocolErrorf("envelope id of %d bytes", len(id))
		}
		payload, err := e.Payload()
		if err != nil {
			return nil, protocolErrorf("envelope: %v", err)
		}
		if e.Seq() <= after {
			return nil, protocolErrorf("envelope %d after %d", e.Seq(), after)
		}
		after = e.Seq()
		out[i] = Envelope{Seq: e.Seq(), ID: MessageID(id), Payload: append([]byte(nil), payload...), AcceptedAt: time.UnixMilli(e.AcceptedAt())}
	}
	return out, nil
}

// maxQueues bounds what Queues takes from a server.
const maxQueues = 1 << 16

// above says whether q comes after p in the order of Queues.
func (q Queue) above(p Queue) bool {
	return q.Group > p.Group || q.Group == p.Group && q.Shared && !p.Shared
}

// Queues lists the caller's queues that hold something, by group id; a shared one comes after another of the same name.
func (s *Session) Queues(ctx context.Context) ([]QueueStatus, error) {
	ds, rpc, err := s.ds(ctx)
	if err != nil {
		return nil, err
	}
	defer rpc.release()
	var out []QueueStatus
	for more, after := true, (Queue{}); more; {
		f, release := ds.Queues(ctx, func(p schemas.DeliveryService_queues_Params) error {
			p.SetAfterShared(after.Shared)
			return p.SetAfterGroupId([]byte(after.Group))
		})
		res, err := f.Struct()
		if err != nil {
			release()
			return nil, rpc.Err(err)
		}
		list, err := res.Queues()
		if err != nil {
			release()
			return nil, protocolErrorf("queues: %v", err)
		}
		for i := range list.Len() {
			q := list.At(i)
			id, err := q.GroupId()
			name := Queue{string(id), q.Shared()}
			if err != nil || len(id) > maxGroupID || !name.above(after) && len(out) > 0 || len(out) == maxQueues {
				release()
				return nil, protocolErrorf("queues: %d listed, then one with an id of %d bytes that is not above the last: %v", len(out), len(id), err)
			}
			out = append(out, QueueStatus{Queue: name, Acknowledged: q.Acknowledged(), Last: q.Last(), Messages: q.Messages(), Bytes: q.Bytes()})
			after = name
		}
		more = res.More() && list.Len() > 0 && after != Queue{}
		release()
	}
	return out, nil
}

// Acknowledge tells the server that everything up to each cursor may go.
func (s *Session) Acknowledge(ctx context.Context, cursors []Cursor) error {
	ds, rpc, err := s.ds(ctx)
	if err != nil {
		return err
	}
	defer rpc.release()
	f, release := ds.Acknowledge(ctx, func(p schemas.DeliveryService_acknowledge_Params) error {
		list, err := p.NewCursors(int32(len(cursors)))
		if err != nil {
			return err
		}
		return putCursors(list, cursors)
	})
	defer release()
	if _, err := f.Struct(); err != nil {
		return rpc.Err(err)
	}
	return nil
}

func putCursors(list schemas.Cursor_List, cursors []Cursor) error {
	for i, c := range cursors {
		list.At(i).SetSeq(c.Seq)
		list.At(i).SetShared(c.Shared)
		if err := list.At(i).SetGroupId([]byte(c.Group)); err != nil {
			return err
		}
	}
	return nil
}
