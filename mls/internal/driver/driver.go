package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"

	"quicnprotochat/mls"
)

// hx is binary in lowercase hex.
type hx []byte

// MarshalJSON writes hex.
func (h hx) MarshalJSON() ([]byte, error) { return json.Marshal(hex.EncodeToString(h)) }

// UnmarshalJSON reads hex.
func (h *hx) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	v, err := hex.DecodeString(s)
	*h = v
	return err
}

// extension is an extension in JSON.
type extension struct {
	Type uint16 `json:"type"`
	Data hx     `json:"data"`
}

func extensions(list []extension) []mls.Extension {
	out := make([]mls.Extension, len(list))
	for i, e := range list {
		out[i] = mls.Extension{Type: e.Type, Data: e.Data}
	}
	return out
}

// proposal is a proposal in JSON: Type tells which fields count.
type proposal struct {
	Type        string      `json:"type"`
	KeyPackage  hx          `json:"key_package"`
	IdentityHex *hx         `json:"identity_hex"`
	Name        string      `json:"name"`
	Leaf        *uint32     `json:"leaf"`
	PSKID       hx          `json:"psk_id"`
	Epoch       uint64      `json:"epoch"`
	Extensions  []extension `json:"extensions"`
	GroupID     hx          `json:"group_id"`
	Suite       uint16      `json:"suite"`
}

// request holds the fields of all operations.
type request struct {
	proposal
	Op             string     `json:"op"`
	ID             int        `json:"id"`
	Group          *hx        `json:"group"`
	Handshake      string     `json:"handshake"`
	Public         *bool      `json:"public"`
	Welcome        hx         `json:"welcome"`
	GroupInfo      hx         `json:"group_info"`
	RatchetTree    any        `json:"ratchet_tree"` // a tree in hex, or whether to send one
	Resync         bool       `json:"resync"`
	PSKs           []hx       `json:"psks"`
	Plaintext      hx         `json:"plaintext"`
	AAD            hx         `json:"aad"`
	Message        hx         `json:"message"`
	PSK            hx         `json:"psk"`
	KeyPackages    []hx       `json:"key_packages"`
	ByReference    []hx       `json:"by_reference"`
	ByValue        []proposal `json:"by_value"`
	ForcePath      bool       `json:"force_path"`
	Merge          *bool      `json:"merge"`
	KeyPackageOf   int        `json:"key_package_of"`
	ExternalSender hx         `json:"external_sender"`
	Proposal       proposal   `json:"proposal"`
	Label          string     `json:"label"`
	Context        hx         `json:"context"`
	Length         int        `json:"length"`
}

// answer holds the fields of all answers.
type answer map[string]any

// client is one MLS client: its identities, KeyPackages, PSKs and groups.
type client struct {
	name    []byte
	suite   mls.Suite
	ids     map[mls.Suite]*mls.Identity
	framing mls.Framing
	bundles []*mls.KeyPackageBundle
	psks    map[string][]byte
	groups  map[string]*mls.Group
	current string
}

// driver holds the clients by their number.
type driver struct {
	clients map[int]*client
	next    int
}

func newDriver() *driver { return &driver{clients: make(map[int]*client), next: 1} }

// answer handles one request. It never panics.
func (d *driver) answer(line []byte) []byte {
	out, err := d.handle(line)
	if err != nil {
		out = answer{"ok": false, "error": err.Error()}
	} else {
		out["ok"] = true
	}
	b, err := json.Marshal(out)
	if err != nil {
		panic(err) // answers hold nothing that cannot be encoded
	}
	return b
}

func (d *driver) handle(line []byte) (out answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	var r request
	if err := json.Unmarshal(line, &r); err != nil {
		return nil, err
	}
	switch r.Op {
	case "version":
		return answer{"name": "quicnprotochat/mls", "version": "1", "suites": mls.Suites()}, nil
	case "new":
		return d.new(&r)
	case "close":
		delete(d.clients, r.ID)
		return answer{}, nil
	}
	f, ok := ops[r.Op]
	if !ok {
		return nil, fmt.Errorf("unknown op %q", r.Op)
	}
	c, ok := d.clients[r.ID]
	if !ok {
		return nil, fmt.Errorf("no client %d", r.ID)
	}
	return f(d, c, &r)
}

// ops maps operations to their handlers.
var ops = map[string]func(*driver, *client, *request) (answer, error){
	"key_package": keyPackage, "create_group": createGroup, "join": join,
	"group_info": groupInfo, "external_join": externalJoin,
	"protect": protect, "process": process, "psk_register": pskRegister,
	"propose_add": propose("add"), "propose_remove": propose("remove"), "propose_psk": propose("psk"),
	"propose_resumption_psk":           propose("resumption_psk"),
	"propose_group_context_extensions": propose("group_context_extensions"),
	"propose_reinit":                   propose("reinit"),
	"propose_update":                   proposeUpdate, "propose_external_sender": proposeExternalSender,
	"commit": commit, "merge_pending": mergePending, "commit_pending": commitAll, "update": commitAll,
	"add": commitAdds, "remove": commitOne("remove"), "psk": commitOne("psk"),
	"group_context_extensions": commitOne("group_context_extensions"),
	"reinit_key_package":       reinitKeyPackage, "reinit_create": reinitCreate, "reinit_join": reinitJoin,
	"branch": branch, "branch_join": branchJoin,
	"new_member_add": newMemberAdd, "external_sender": externalSender, "external_propose": externalPropose,
	"export": export, "state": state,
}

func (d *driver) new(r *request) (answer, error) {
	c := &client{name: []byte(r.Name), suite: mls.Suite(r.Suite), ids: make(map[mls.Suite]*mls.Identity),
		psks: make(map[string][]byte), groups: make(map[string]*mls.Group)}
	if r.IdentityHex != nil {
		c.name = *r.IdentityHex
	}
	if c.suite == 0 {
		c.suite = mls.X25519_AES128GCM_SHA256_Ed25519
	}
	if r.Handshake == "public" {
		c.framing = mls.FramingPublic
	}
	id, err := c.identity(c.suite)
	if err != nil {
		return nil, err
	}
	n := d.next
	d.next++
	d.clients[n] = c
	return answer{"id": n, "signature_key": hx(id.SignaturePublicKey()), "identity": hx(c.name)}, nil
}

// identity returns the client's identity for a suite.
func (c *client) identity(s mls.Suite) (*mls.Identity, error) {
	if id := c.ids[s]; id != nil {
		return id, nil
	}
	id, err := mls.GenerateBasicIdentity(s, c.name)
	if err == nil {
		c.ids[s] = id
	}
	return id, err
}

func (c *client) policy() mls.Policy {
	return mls.Policy{Handshake: c.framing, ExternalPSK: func(id []byte) ([]byte, error) {
		if psk, ok := c.psks[string(id)]; ok {
			return psk, nil
		}
		return nil, errors.New("not registered")
	}}
}

// group returns the group of a request: the named one, or the one last used.
func (c *client) group(r *request) (*mls.Group, error) {
	name := c.current
	if r.Group != nil {
		name = string(*r.Group)
	}
	g := c.groups[name]
	if g == nil {
		return nil, errors.New("no such group")
	}
	return g, nil
}

// keep makes g a group of the client, and the current one.
func (c *client) keep(g *mls.Group) hx {
	c.current = string(g.GroupID())
	c.groups[c.current] = g
	return g.GroupID()
}

func (r *request) framing() mls.Framing {
	switch {
	case r.Public == nil:
		return mls.FramingDefault
	case *r.Public:
		return mls.FramingPublic
	}
	return mls.FramingPrivate
}

// tree returns the tree that a request brings, if any.
func (r *request) tree() ([]byte, error) {
	s, ok := r.RatchetTree.(string)
	if !ok || s == "" {
		return nil, nil
	}
	return hex.DecodeString(s)
}

// omitTree says whether a request wants the tree apart.
func (r *request) omitTree() bool {
	want, ok := r.RatchetTree.(bool)
	return ok && !want
}
