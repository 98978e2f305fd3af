package main

import (
	"quicnprotochat/mls"
)

// propose makes the handler that proposes one kind of change.
func propose(kind string) handler {
	return in(func(c *call, g *mls.Group, a *proposalArgs) (answer, error) {
		a.Type = kind
		p, err := a.proposal(targetOf(g))
		if err != nil {
			return nil, err
		}
		return sendProposal(c, g, p)
	})
}

func sendProposal(c *call, g *mls.Group, p mls.Proposal) (answer, error) {
	m, err := g.Propose(p, mls.ProposeOptions{Framing: c.framing})
	if err != nil {
		return nil, err
	}
	c.c.use(g)
	return messageAnswer("message", m), nil
}

func proposeUpdate(c *call, g *mls.Group, _ *none) (answer, error) {
	m, err := g.ProposeUpdateWith(mls.ProposeOptions{Framing: c.framing})
	if err != nil {
		return nil, err
	}
	c.c.use(g)
	return messageAnswer("message", m), nil
}

type externalSenderArgs struct {
	ExternalSender octets `json:"external_sender"`
}

// proposeExternalSender proposes the group's extensions with one external sender
// more.
func proposeExternalSender(c *call, g *mls.Group, a *externalSenderArgs) (answer, error) {
	if err := need("external_sender", a.ExternalSender); err != nil {
		return nil, err
	}
	var sender mls.ExternalSender
	if err := sender.UnmarshalBinary(a.ExternalSender); err != nil {
		return nil, err
	}
	list := g.Extensions()
	at := -1
	var senders []mls.ExternalSender
	for i, e := range list {
		if e.Type != mls.ExtensionExternalSenders {
			continue
		}
		var err error
		if senders, err = mls.ParseExternalSenders(e.Data); err != nil {
			return nil, err
		}
		at = i
	}
	all := mls.ExternalSenders(append(senders, sender)...)
	if at < 0 {
		list = append(list, all)
	} else {
		list[at] = all
	}
	return sendProposal(c, g, mls.GroupExtensions(list))
}
