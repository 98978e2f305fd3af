package main

import (
	"errors"

	"quicnprotochat/mls"
)

type protectArgs struct {
	Plaintext octets `json:"plaintext"`
	AAD       octets `json:"aad"`
}

func protect(c *call, g *mls.Group, a *protectArgs) (answer, error) {
	if err := need("plaintext", a.Plaintext); err != nil {
		return nil, err
	}
	m, err := g.Protect(a.Plaintext, a.AAD)
	if err != nil {
		return nil, err
	}
	c.c.use(g)
	return messageAnswer("message", m), nil
}

type processArgs struct {
	Message octets `json:"message"`
}

// process takes a message for the group that it names itself.
func process(c *call, a *processArgs) (answer, error) {
	if err := need("message", a.Message); err != nil {
		return nil, err
	}
	info, err := mls.PeekMessage(a.Message)
	if err != nil {
		return nil, err
	}
	if c.groupID == nil {
		id := octets(info.GroupID)
		c.groupID = &id
	}
	g, err := c.group()
	if err != nil {
		return nil, errors.New("message for an unknown group")
	}
	p, err := g.Process(a.Message)
	if err != nil {
		return nil, err
	}
	c.c.use(g)
	out := answer{"kind": p.Kind.String(), "epoch": p.Epoch, "aad": append(octets{}, p.AAD...), "sender": p.SenderLeaf}
	if p.Kind == mls.KindApplication {
		out["plaintext"] = append(octets{}, p.Plaintext...)
	}
	if s := groupState(g); s != "active" {
		out["group_state"] = s
	}
	return out, nil
}

// messageAnswer returns a message and the name of its wire format.
func messageAnswer(field string, message []byte) answer {
	out := answer{field: octets(message)}
	if info, err := mls.PeekMessage(message); err == nil {
		switch info.Format {
		case mls.FormatPublicMessage:
			out["wireformat"] = "mls_public_message"
		case mls.FormatPrivateMessage:
			out["wireformat"] = "mls_private_message"
		}
	}
	return out
}
