package ds

import (
	"context"
	"crypto/rand"
	"slices"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
	"quicnprotochat/store"
)

// Enqueue stores one payload in somebody's inbox.
func (c *server) Enqueue(ctx context.Context, call schemas.DeliveryService_enqueue) error {
	if err := c.s.begin(enqueue); err != nil {
		return err
	}
	if err := c.session.WaitHandshake(ctx); err != nil {
		return err
	}
	key, err := call.Args().RecipientKey()
	if err != nil {
		return malformed(err)
	}
	if len(key) != len(c.owner) {
		return invalid("recipientKey of %d bytes, want 32", len(key))
	}
	m := store.Message{Queue: store.QueueID{Owner: store.Identity(key)}}
	if m.Payload, err = call.Args().Payload(); err != nil {
		return malformed(err)
	}
	if err := c.s.checkPayload(m.Payload); err != nil {
		return err
	}
	_, _ = rand.Read(m.ID[:]) // never fails, see crypto/rand
	job := c.sender.add([]store.Message{m})
	call.Go()
	results, err := c.sender.wait(ctx, job)
	if err != nil {
		return c.s.failure(err)
	}
	if results[0].Status == store.QuotaExceeded {
		return quicrpc.Errorf(quicrpc.CodeQuotaExceeded, "the recipient's queue is full")
	}
	_, err = call.AllocResults()
	return err
}

// EnqueueMany stores submissions, with a result for each recipient of each.
func (c *server) EnqueueMany(ctx context.Context, call schemas.DeliveryService_enqueueMany) error {
	if err := c.s.begin(enqueueMany); err != nil {
		return err
	}
	if err := c.session.WaitHandshake(ctx); err != nil {
		return err
	}
	list, err := call.Args().Submissions()
	if err != nil {
		return malformed(err)
	}
	messages, recipients, err := c.s.submissions(list)
	if err != nil {
		return err
	}
	job := c.sender.add(messages)
	call.Go()
	results, err := c.sender.wait(ctx, job)
	if err != nil {
		return c.s.failure(err)
	}
	answer, err := call.AllocResults()
	if err != nil {
		return err
	}
	if call.Args().Receipts() {
		if err := c.s.receipt(ctx, c.messageLeaves(messages, results), answer.NewReceipt); err != nil {
			return err
		}
	}
	out, err := answer.NewResults(int32(len(recipients)))
	if err != nil {
		return err
	}
	for i, n := range recipients {
		if err := setResults(out.At(i), results[:n]); err != nil {
			return err
		}
		results = results[n:]
	}
	return nil
}

// submissions returns a call's messages, and how many recipients each submission has.
func (s *Service) submissions(list schemas.Submission_List) (messages []store.Message, recipients []int, err error) {
	if n := list.Len(); n < 1 || n > s.limits.MaxBatch {
		return nil, nil, invalid("%d submissions, want 1 to %d", n, s.limits.MaxBatch)
	}
	stored := 0
	messages, recipients = make([]store.Message, 0, list.Len()), make([]int, 0, list.Len())
	for i := range list.Len() {
		before := len(messages)
		if messages, err = s.submission(messages, list.At(i)); err != nil {
			return nil, nil, err
		}
		n := len(messages) - before
		recipients = append(recipients, n)
		stored += n * len(messages[before].Payload)
		if stored > s.limits.MaxStoredBytes {
			return nil, nil, quicrpc.Errorf(quicrpc.CodeTooLarge, "more than %d bytes to store, over all recipients", s.limits.MaxStoredBytes)
		}
	}
	return messages, recipients, nil
}

// submission appends the messages of one submission, one a recipient.
func (s *Service) submission(messages []store.Message, at schemas.Submission) ([]store.Message, error) {
	id, err := at.Id()
	if err != nil {
		return nil, malformed(err)
	}
	group, err := at.GroupId()
	if err != nil {
		return nil, malformed(err)
	}
	payload, err := at.Payload()
	if err != nil {
		return nil, malformed(err)
	}
	recipients, err := at.Recipients()
	if err != nil {
		return nil, malformed(err)
	}
	switch n := recipients.Len(); {
	case len(id) != 16:
		return nil, invalid("id of %d bytes, want 16", len(id))
	case len(group) > store.MaxGroup:
		return nil, invalid("group id of %d bytes, at most %d allowed", len(group), store.MaxGroup)
	case n < 1:
		return nil, invalid("no recipients")
	case len(messages)+n > s.limits.MaxRecipients:
		return nil, invalid("more than %d recipients in a call", s.limits.MaxRecipients)
	}
	if err := s.checkPayload(payload); err != nil {
		return nil, err
	}
	m := store.Message{Queue: store.QueueID{Group: string(group)}, ID: store.MessageID(id), Payload: payload, Expires: expiry(at.Expires())}
	if m.Blobs, err = blobIDs(at.Blobs()); err != nil {
		return nil, err
	}
	before := len(messages)
	for i := range recipients.Len() {
		key, err := recipients.At(i)
		if err != nil {
			return nil, malformed(err)
		}
		if len(key) != len(m.Queue.Owner) {
			return nil, invalid("recipient key of %d bytes, want 32", len(key))
		}
		m.Queue.Owner = store.Identity(key)
		messages = append(messages, m)
	}
	if twice(messages[before:]) {
		return nil, invalid("a recipient is named twice")
	}
	return messages, nil
}

// twice says whether two messages are for one owner.
func twice(messages []store.Message) bool {
	if len(messages) == 1 {
		return false
	}
	owners := make([]store.Identity, len(messages))
	for i := range messages {
		owners[i] = messages[i].Queue.Owner
	}
	slices.SortFunc(owners, func(a, b store.Identity) int { return slices.Compare(a[:], b[:]) })
	return len(slices.Compact(owners)) < len(messages)
}

func (s *Service) checkPayload(payload []byte) error {
	if len(payload) == 0 {
		return invalid("empty payload")
	}
	if len(payload) > s.limits.MaxPayload {
		return quicrpc.Errorf(quicrpc.CodeTooLarge, "payload of %d bytes, at most %d allowed", len(payload), s.limits.MaxPayload)
	}
	return nil
}

var statuses = [...]schemas.EnqueueStatus{
	store.Stored: schemas.EnqueueStatus_stored, store.Duplicate: schemas.EnqueueStatus_duplicate, store.QuotaExceeded: schemas.EnqueueStatus_quotaExceeded,
	store.NoBlob: schemas.EnqueueStatus_noBlob, store.NoGroup: schemas.EnqueueStatus_notMember, store.NotMember: schemas.EnqueueStatus_notMember,
	store.WrongEpoch: schemas.EnqueueStatus_wrongEpoch,
}

func setResults(out schemas.SubmissionResult, results []store.Result) error {
	list, err := out.NewRecipients(int32(len(results)))
	if err != nil {
		return err
	}
	for i, r := range results {
		list.At(i).SetStatus(statuses[r.Status])
		list.At(i).SetSeq(r.Seq)
	}
	return nil
}
