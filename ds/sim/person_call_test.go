package sim

import (
	"errors"

	"quicnprotochat/schemas"
)

// perform makes the call, and tells the oracle what was promised.
func (p *person) perform(l *link, c schemas.DeliveryService, a *act) error {
	switch {
	case a.found:
		f, release := c.CreateGroup(l.ctx, func(q schemas.DeliveryService_createGroup_Params) error { return q.SetGroupId([]byte(a.group)) })
		defer release()
		_, err := f.Struct()
		if err = p.heard(l, err); err == nil {
			p.w.make(a.group)
		}
		return err
	case a.m.Commit:
		return p.commit(l, c, a)
	case a.isLetter():
		return p.write(l, c, a)
	}
	f, release := c.Post(l.ctx, func(q schemas.DeliveryService_post_Params) error {
		return fillPosts(q.NewPosts, []*act{a})
	})
	defer release()
	r, err := f.Struct()
	if err = p.heard(l, err); err != nil {
		return err
	}
	list, err := r.Results()
	if err != nil {
		return err
	}
	p.told(a, 0, list.At(0).Status(), list.At(0).Seq())
	return nil
}

func fillPosts(make func(int32) (schemas.Post_List, error), acts []*act) error {
	list, err := make(int32(len(acts)))
	for i, a := range acts {
		m := list.At(i)
		err = errors.Join(err, m.SetGroupId([]byte(a.group)), m.SetId(a.id()), m.SetPayload(a.m.encode(a.group)))
	}
	return err
}

func (p *person) commit(l *link, c schemas.DeliveryService, a *act) error {
	f, release := c.Commit(l.ctx, func(q schemas.DeliveryService_commit_Params) error {
		m, err := q.NewCommit()
		if err != nil {
			return err
		}
		m.SetEpoch(a.m.Epoch)
		added, e1 := m.NewAdded(int32(len(a.m.Added)))
		removed, e2 := m.NewRemoved(int32(len(a.m.Removed)))
		err = errors.Join(e1, e2, m.SetGroupId([]byte(a.group)), m.SetId(a.id()), m.SetMessage_(a.m.encode(a.group)))
		for _, n := range a.m.Removed {
			id := key(n)
			err = errors.Join(err, removed.Set(0, id[:]))
		}
		for _, n := range a.m.Added {
			id := key(n)
			list, e3 := m.NewWelcomes(1)
			if err = errors.Join(err, e3, added.Set(0, id[:])); err != nil {
				return err
			}
			to, e4 := list.At(0).NewRecipients(1)
			err = errors.Join(err, e4, to.Set(0, id[:]), list.At(0).SetPayload(a.welcome))
		}
		return err
	})
	defer release()
	r, err := f.Struct()
	if err = p.heard(l, err); err != nil {
		return err
	}
	out, err := r.Result()
	if err != nil {
		return err
	}
	if s := out.Status(); s == schemas.CommitStatus_accepted || s == schemas.CommitStatus_duplicate {
		p.first(a, s == schemas.CommitStatus_duplicate)
		p.w.promised(a.group, a.m.ID, out.Seq())
	}
	return nil
}
