package load

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"quicnprotochat/certs"
	"quicnprotochat/client"
	"quicnprotochat/schemas"
)

func init() {
	register("groups", &scenario{run: groups, main: Received, shared: true, about: "G groups of M members, all listen and all send"})
}

// groups: member m of group g is client g*M+m; member 0 is the founder. The payloads are opaque, so one member tells the service the roster.
func groups(ctx context.Context, r *run) error {
	listening, hangUp := context.WithCancelCause(ctx)
	defer r.links.Wait()
	defer hangUp(nil)
	members := r.cfg.Members
	links := make([]*link, r.cfg.Groups*members)
	err := r.each(ctx, len(links), func(_ context.Context, i int) error {
		if !r.cfg.mine(i / members) {
			return nil
		}
		v := r.newReceiver(i, r.groupOnly(i/members))
		v.expect(client.Queue{Group: r.cfg.group(i / members), Shared: true})
		links[i] = &link{who: i, listen: v.listen}
		return r.openLink(listening, hangUp, links[i])
	})
	if err != nil {
		return err
	}
	err = r.each(ctx, r.cfg.Groups, func(ctx context.Context, g int) error {
		if !r.cfg.mine(g) {
			return nil
		}
		return r.opaqueGroup(ctx, links[g*members], g, members)
	})
	if err != nil {
		return err
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	r.cfg.Calls = 1 // see link.poster
	var senders []*sender
	for i, l := range links {
		if l == nil {
			continue
		}
		group := r.cfg.group(i / members)
		s := r.newSender(i, groupName(i/members), members, len(links), l.poster(asPosts(group)))
		head := frame(group, 1, contentApplication)
		s.head = func() []byte { return head }
		senders = append(senders, s)
	}
	err = r.traffic(listening, senders)
	r.tellAgain()
	return err
}

// opaqueGroup makes group g of clients that follow one another, and no MLS: the service believes its members who is one.
func (r *run) opaqueGroup(ctx context.Context, founder *link, g, members int) error {
	id := r.cfg.group(g)
	added := make([]certs.Identity, 0, members-1)
	for m := 1; m < members; m++ {
		added = append(added, r.cfg.identityOf(founder.who+m))
	}
	c := &client.GroupCommit{Group: id, ID: r.commitID(), Message: frame(id, 0, contentCommit), Added: added}
	if err := founder.retry(ctx, func(ctx context.Context, s *client.Session) error { return s.CreateGroup(ctx, id, 0, nil) }); err != nil {
		return fmt.Errorf("group %d: %w", g, err)
	}
	out, err := founder.commit(ctx, c)
	if err == nil && out.Status != schemas.CommitStatus_accepted && out.Status != schemas.CommitStatus_duplicate { // which an attempt before it was
		err = errors.New(out.Status.String())
	}
	if err != nil {
		return fmt.Errorf("group %d: the commit that adds the members: %w", g, err)
	}
	return nil
}

// commit hands in a commit, again and again until the service has answered.
func (l *link) commit(ctx context.Context, c *client.GroupCommit) (out client.CommitOutcome, err error) {
	err = l.retry(ctx, func(ctx context.Context, s *client.Session) error {
		out, err = s.CommitGroup(ctx, c)
		return err
	})
	return out, err
}

// asPosts posts to a group what is sealed already.
func asPosts(group string) func(batch []message) ([]client.GroupPost, error) {
	return func(batch []message) ([]client.GroupPost, error) {
		posts := make([]client.GroupPost, len(batch))
		for i := range batch {
			posts[i] = client.GroupPost{Group: group, ID: batch[i].id, Payload: batch[i].payload}
		}
		return posts, nil
	}
}

// groupOnly names the queue of group g, and no other.
func (r *run) groupOnly(g int) func(client.Queue) string {
	want, name := client.Queue{Group: r.cfg.group(g), Shared: true}, groupName(g)
	return func(q client.Queue) string {
		if q == want {
			return name
		}
		return ""
	}
}

func groupName(g int) string { return "group " + strconv.Itoa(g) }

// tellAgain tells how often connections and calls were made anew.
func (r *run) tellAgain() {
	r.value("connections_made_again", float64(r.again.connections.Load()))
	r.value("calls_made_again", float64(r.again.calls.Load()))
}
