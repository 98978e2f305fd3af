package load

import (
	"context"
	"errors"
	"fmt"

	"quicnprotochat/certs"
)

func init() {
	register("e2ee", &scenario{run: e2ee, main: Received, shared: true, about: "groups with real MLS: the time is until a message is decrypted"})
}

// e2ee is groups with real MLS.
func e2ee(ctx context.Context, r *run) error {
	listening, hangUp := context.WithCancelCause(ctx)
	defer r.links.Wait()
	defer hangUp(nil)
	p, err := r.openParty(ctx, listening, hangUp, 0)
	if err != nil {
		return err
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	err = r.traffic(listening, p.senders())
	r.tellAgain()
	return err
}

// A party is the groups of this process, with real MLS.
type party struct {
	r      *run
	groups []*circle
}

// A circle is one group: the members that talk, and those who come and go.
type circle struct {
	number int
	talk   []*member
	others []*member
}

// openParty connects all members and makes the groups of those who talk. Client numbers of a group follow one another; `others` more of each come and go.
func (r *run) openParty(ctx, listening context.Context, cancel context.CancelCauseFunc, others int) (*party, error) {
	p := &party{r: r}
	for g := range r.cfg.Groups {
		if !r.cfg.mine(g) {
			continue
		}
		c := &circle{number: g}
		for i := range r.cfg.Members + others {
			m, err := r.newMember(g*(r.cfg.Members+others)+i, g, i >= r.cfg.Members)
			if err != nil {
				return nil, err
			}
			if i < r.cfg.Members {
				c.talk = append(c.talk, m)
			} else {
				c.others = append(c.others, m)
			}
		}
		p.groups = append(p.groups, c)
	}
	var all []*member
	for _, c := range p.groups {
		all = append(append(all, c.talk...), c.others...)
	}
	err := r.each(ctx, len(all), func(ctx context.Context, i int) error {
		if err := r.openLink(listening, cancel, all[i].link); err != nil {
			return err
		}
		if all[i].late {
			return nil // publishes when it is to be added
		}
		return all[i].publish(ctx)
	})
	if err != nil {
		return nil, err
	}
	return p, r.each(ctx, len(p.groups), func(ctx context.Context, i int) error { return p.groups[i].form(ctx) })
}

// form makes the group: the first member founds it and adds the others with one commit.
func (c *circle) form(ctx context.Context) error {
	founder, rest := c.talk[0], c.talk[1:]
	if err := founder.found(ctx); err != nil {
		return fmt.Errorf("group %d: %w", c.number, err)
	}
	who := make([]certs.Identity, len(rest))
	for i, m := range rest {
		who[i] = m.id
	}
	packages, err := founder.claim(ctx, who)
	if err != nil {
		return fmt.Errorf("group %d: %w", c.number, err)
	}
	if _, _, err := founder.commit(ctx, addition(who, packages)); err != nil {
		return fmt.Errorf("group %d: %w", c.number, err)
	}
	limit, cancel := context.WithTimeoutCause(ctx, patience, errors.New("a Welcome did not come"))
	defer cancel()
	for _, m := range rest {
		if err := m.await(limit, m.isIn); err != nil {
			return fmt.Errorf("group %d, member %d: %w", c.number, m.who, err)
		}
	}
	return nil
}

// senders makes a sender of each member that talks.
func (p *party) senders() (out []*sender) {
	p.r.cfg.Calls = 1 // see link.poster
	for _, c := range p.groups {
		for _, m := range c.talk {
			// A message leaves the window when those who are there for all of the run have it.
			s := p.r.newSender(m.who, m.name, len(c.talk), p.r.cfg.Groups*p.r.cfg.Members, m.link.poster(m.seal))
			out = append(out, s)
		}
	}
	return out
}
