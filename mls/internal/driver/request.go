package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"quicnprotochat/mls"
)

// octets is binary data: hex in JSON. It is nil when the request has no such
// field.
type octets []byte

// MarshalText encodes lowercase hex.
func (o octets) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, o), nil }

// UnmarshalText decodes hex.
func (o *octets) UnmarshalText(text []byte) error {
	b := make([]byte, hex.DecodedLen(len(text)))
	if _, err := hex.Decode(b, text); err != nil {
		return errors.New("binary must be hex")
	}
	*o = b
	return nil
}

func plain(list []octets) [][]byte {
	out := make([][]byte, len(list))
	for i, o := range list {
		out[i] = o
	}
	return out
}

// need returns an error when a field is missing.
func need(name string, o octets) error {
	if o == nil {
		return fmt.Errorf("missing %s", name)
	}
	return nil
}

// yes is a flag that is true unless the request says otherwise.
func yes(flag *bool) bool { return flag == nil || *flag }

// extension is a typed opaque value, R §13.
type extension struct {
	Type uint16 `json:"type"`
	Data octets `json:"data"`
}

func extensions(list []extension) []mls.Extension {
	out := make([]mls.Extension, len(list))
	for i, e := range list {
		out[i] = mls.Extension{Type: e.Type, Data: e.Data}
	}
	return out
}

func extensionAnswers(list []mls.Extension) []extension {
	out := make([]extension, len(list))
	for i, e := range list {
		out[i] = extension{e.Type, append(octets{}, e.Data...)}
	}
	return out
}

// envelope is what all requests have in common.
type envelope struct {
	Op     string  `json:"op"`
	ID     *int    `json:"id"`
	Group  *octets `json:"group"`
	Public *bool   `json:"public"`
}

// call is one request for a client.
type call struct {
	d       *driver
	c       *client
	groupID *octets
	framing mls.Framing
}

// group returns the group that the request is about.
func (c *call) group() (*mls.Group, error) {
	id := c.c.current
	if c.groupID != nil {
		id = string(*c.groupID)
	}
	g := c.c.groups[id]
	if g == nil {
		return nil, errors.New("no such group")
	}
	return g, nil
}

// handler answers a request, of which line is the whole text.
type handler func(d *driver, e *envelope, line []byte) (answer, error)

// on makes a handler of a function that needs no client.
func on[T any](f func(d *driver, args *T) (answer, error)) handler {
	return func(d *driver, _ *envelope, line []byte) (answer, error) {
		args := new(T)
		if err := json.Unmarshal(line, args); err != nil {
			return nil, fmt.Errorf("bad request: %w", err)
		}
		return f(d, args)
	}
}

// as makes a handler of a function that acts as a client.
func as[T any](f func(c *call, args *T) (answer, error)) handler {
	return func(d *driver, e *envelope, line []byte) (answer, error) {
		if e.ID == nil {
			return nil, errors.New("missing id")
		}
		cl, err := d.client(*e.ID)
		if err != nil {
			return nil, err
		}
		args := new(T)
		if err := json.Unmarshal(line, args); err != nil {
			return nil, fmt.Errorf("bad request: %w", err)
		}
		c := &call{d: d, c: cl, groupID: e.Group}
		if e.Public != nil {
			c.framing = mls.FramingPrivate
			if *e.Public {
				c.framing = mls.FramingPublic
			}
		}
		return f(c, args)
	}
}

// in makes a handler of a function that acts as a member of a group.
func in[T any](f func(c *call, g *mls.Group, args *T) (answer, error)) handler {
	return as(func(c *call, args *T) (answer, error) {
		g, err := c.group()
		if err != nil {
			return nil, err
		}
		return f(c, g, args)
	})
}
