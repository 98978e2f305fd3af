package ds

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
	"quicnprotochat/store"
)

const testGroup = "a group of bytes" // 16

// change is a commit as its sender says it.
type change struct {
	group          string
	epoch          uint64
	id             byte
	message        []byte // default: a PrivateMessage that says the same
	added, removed []byte // peers
	welcomes       map[byte][]byte
	info           []byte
	replaces       bool
}

func (k *caller) create(group string, epoch uint64, info []byte) error {
	f, release := k.ds.CreateGroup(context.Background(), func(p schemas.DeliveryService_createGroup_Params) error {
		p.SetEpoch(epoch)
		return errors.Join(p.SetGroupId([]byte(group)), p.SetGroupInfo(info))
	})
	defer release()
	_, err := f.Struct()
	return quicrpc.FromRPC(err)
}

// outcome is what is told of a commit.
type outcome struct {
	status     schemas.CommitStatus
	seq, epoch uint64
}

func (k *caller) commit(c change) (out outcome, err error) {
	f, release := k.ds.Commit(context.Background(), func(p schemas.DeliveryService_commit_Params) error {
		m, err := p.NewCommit()
		if err != nil {
			return err
		}
		return c.put(m)
	})
	defer release()
	r, err := f.Struct()
	if err != nil {
		return out, quicrpc.FromRPC(err)
	}
	res, err := r.Result()
	return outcome{res.Status(), res.Seq(), res.Epoch()}, err
}

func (c *change) put(m schemas.Commit) error {
	if c.message == nil {
		c.message = mlsHeader(privateMessage, c.group, c.epoch, commit)
	}
	m.SetEpoch(c.epoch)
	m.SetReplaces(c.replaces)
	err := errors.Join(m.SetGroupId([]byte(c.group)), m.SetId(id16(int(c.id))), m.SetMessage_(c.message), m.SetGroupInfo(c.info))
	added, e1 := m.NewAdded(int32(len(c.added)))
	removed, e2 := m.NewRemoved(int32(len(c.removed)))
	welcomes, e3 := m.NewWelcomes(int32(len(c.welcomes)))
	if err = errors.Join(err, e1, e2, e3); err != nil {
		return err
	}
	for i, n := range c.added {
		err = errors.Join(err, added.Set(i, key(n)))
	}
	for i, n := range c.removed {
		err = errors.Join(err, removed.Set(i, key(n)))
	}
	i := 0
	for n, payload := range c.welcomes {
		w := welcomes.At(i)
		to, e := w.NewRecipients(1)
		err = errors.Join(err, e, to.Set(0, key(n)), w.SetPayload(payload))
		i++
	}
	return err
}

// post posts one message, of the kind that its header says.
func (k *caller) post(group string, id byte, payload []byte) (status schemas.EnqueueStatus, seq, epoch uint64, err error) {
	f, release := k.ds.Post(context.Background(), func(p schemas.DeliveryService_post_Params) error {
		list, err := p.NewPosts(1)
		if err != nil {
			return err
		}
		m := list.At(0)
		return errors.Join(m.SetGroupId([]byte(group)), m.SetId(id16(int(id))), m.SetPayload(payload))
	})
	defer release()
	r, err := f.Struct()
	if err != nil {
		return 0, 0, 0, quicrpc.FromRPC(err)
	}
	list, err := r.Results()
	if err != nil || list.Len() != 1 {
		k.t.Fatalf("%d results, %v", list.Len(), err)
	}
	return list.At(0).Status(), list.At(0).Seq(), list.At(0).Epoch(), nil
}

func (k *caller) mustPost(group string, id byte, epoch, seq uint64) {
	k.t.Helper()
	status, got, _, err := k.post(group, id, mlsHeader(privateMessage, group, epoch, application))
	if err != nil || status != schemas.EnqueueStatus_stored || got != seq {
		k.t.Fatalf("post %d: %v at %d, %v; want it at %d", id, status, got, err, seq)
	}
}

func (k *caller) mustCommit(c change, seq uint64) {
	k.t.Helper()
	out, err := k.commit(c)
	if err != nil || out != (outcome{schemas.CommitStatus_accepted, seq, c.epoch + 1}) {
		k.t.Fatalf("commit %d: %+v, %v; want it at %d", c.id, out, err, seq)
	}
}

// reads are the numbers that the caller finds in a group's order, from its beginning.
func (k *caller) reads(group string) (seqs []uint64) {
	k.t.Helper()
	k.eachRead(group, func(e schemas.Envelope) { seqs = append(seqs, e.Seq()) })
	return seqs
}

// readIDs are the last bytes of the ids of all but the first message of a group.
func (k *caller) readIDs(group string) (ids string) {
	k.t.Helper()
	k.eachRead(group, func(e schemas.Envelope) {
		id, err := e.Id()
		if err != nil || len(id) != 16 {
			k.t.Errorf("id %x, %v", id, err)
		} else if e.Seq() > 1 {
			ids += string(id[15:])
		}
	})
	return ids
}

func (k *caller) eachRead(group string, f func(schemas.Envelope)) {
	k.t.Helper()
	future, release := k.ds.FetchAfter(context.Background(), func(p schemas.DeliveryService_fetchAfter_Params) error {
		c, err := p.NewCursor()
		if err != nil {
			return err
		}
		c.SetShared(true)
		return c.SetGroupId([]byte(group))
	})
	defer release()
	r, err := future.Struct()
	if err != nil {
		k.t.Fatal(err)
	}
	list, err := r.Envelopes()
	if err != nil {
		k.t.Fatal(err)
	}
	for i := range list.Len() {
		f(list.At(i))
	}
}

func (k *caller) members(group string, from []byte, max uint32) (all []byte, more bool, err error) {
	f, release := k.ds.Members(context.Background(), func(p schemas.DeliveryService_members_Params) error {
		p.SetMax(max)
		return errors.Join(p.SetGroupId([]byte(group)), p.SetFrom(from))
	})
	defer release()
	r, err := f.Struct()
	if err != nil {
		return nil, false, quicrpc.FromRPC(err)
	}
	list, err := r.Members()
	for i := range list.Len() {
		b, e := list.At(i)
		err = errors.Join(err, e)
		all = append(all, b[0])
	}
	return all, r.More(), err
}

func (k *caller) info(group string) (epoch uint64, info []byte, err error) {
	f, release := k.ds.GroupInfo(context.Background(), func(p schemas.DeliveryService_groupInfo_Params) error { return p.SetGroupId([]byte(group)) })
	defer release()
	r, err := f.Struct()
	if err != nil {
		return 0, nil, quicrpc.FromRPC(err)
	}
	b, err := r.GroupInfo()
	return r.Epoch(), bytes.Clone(b), err
}

func (k *caller) status(group string) (s schemas.GroupStatus, done func(), err error) {
	f, release := k.ds.Group(context.Background(), func(p schemas.DeliveryService_group_Params) error { return p.SetGroupId([]byte(group)) })
	r, err := f.Struct()
	if err != nil {
		release()
		return s, func() {}, quicrpc.FromRPC(err)
	}
	s, err = r.Status()
	return s, release, err
}

func (k *caller) invite(group string, invited, revoked []byte) error {
	f, release := k.ds.Invite(context.Background(), func(p schemas.DeliveryService_invite_Params) error {
		in, e1 := p.NewInvited(int32(len(invited)))
		out, e2 := p.NewRevoked(int32(len(revoked)))
		err := errors.Join(e1, e2, p.SetGroupId([]byte(group)))
		for i, n := range invited {
			err = errors.Join(err, in.Set(i, key(n)))
		}
		for i, n := range revoked {
			err = errors.Join(err, out.Set(i, key(n)))
		}
		return err
	})
	defer release()
	_, err := f.Struct()
	return quicrpc.FromRPC(err)
}

func (k *caller) want(err, want error) {
	k.t.Helper()
	if !errors.Is(err, want) {
		k.t.Fatalf("%v, want %v", err, want)
	}
}

// picture is all that stands in the store of some groups and people.
func (f *fixture) picture(t testing.TB, groups []string, peers ...byte) string {
	t.Helper()
	var b bytes.Buffer
	say := func(v any, err error) { printTo(&b, v, err) }
	for _, g := range groups {
		say(f.store.Group(context.Background(), g))
		m, _, err := f.store.Members(context.Background(), g, store.Identity{}, 1000)
		say(m, err)
	}
	for _, n := range peers {
		q, _, err := f.store.Queues(context.Background(), store.QueueID{Owner: store.Identity{n}}, 1000)
		say(q, err)
	}
	r, _, err := f.store.ListRecords(context.Background(), "", "", 1000)
	say(r, err)
	return b.String()
}
