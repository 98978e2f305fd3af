package wire

import "quicnprotochat/mls/internal/codec"

// ProposalOrRef is a proposal by value or by reference, R §12.4.
type ProposalOrRef struct {
	Proposal *Proposal // nil: by reference
	Ref      []byte
}

// Append encodes the entry.
func (p ProposalOrRef) Append(b []byte) []byte {
	if p.Proposal != nil {
		return p.Proposal.Append(append(b, 1))
	}
	return codec.AppendVec(append(b, 2), p.Ref)
}

// Decode reads an entry.
func (p *ProposalOrRef) Decode(r *codec.Reader) {
	switch r.U8() {
	case 1:
		p.Proposal = new(Proposal)
		p.Proposal.Decode(r)
	case 2:
		p.Ref = r.Vec()
	default:
		r.Fail(codec.ErrEnum)
	}
}

// Commit applies proposals and starts a new epoch, R §12.4.
type Commit struct {
	Proposals []ProposalOrRef
	Path      *UpdatePath // nil: none
}

// Append encodes the commit.
func (c *Commit) Append(b []byte) []byte {
	b = codec.AppendList(b, c.Proposals)
	b = codec.AppendOptional(b, c.Path != nil)
	if c.Path != nil {
		b = c.Path.Append(b)
	}
	return b
}

// Decode reads a commit.
func (c *Commit) Decode(r *codec.Reader) {
	c.Proposals = decodeList[ProposalOrRef](r)
	if r.Optional() {
		c.Path = new(UpdatePath)
		c.Path.Decode(r)
	}
}

// UpdatePath carries new keys from a leaf to the root, R §7.6.
type UpdatePath struct {
	Leaf  LeafNode
	Nodes []UpdatePathNode // along the filtered direct path, lowest first
}

// UpdatePathNode is one node of an UpdatePath.
type UpdatePathNode struct {
	EncryptionKey []byte
	Secrets       []Ciphertext // one for each node of the copath child's resolution
}

// Ciphertext is an HPKECiphertext.
type Ciphertext struct {
	KEMOutput, Ciphertext []byte
}

// Append encodes the path.
func (u *UpdatePath) Append(b []byte) []byte {
	return codec.AppendList(append(b, u.Leaf.Raw()...), u.Nodes)
}

// Decode reads a path.
func (u *UpdatePath) Decode(r *codec.Reader) {
	u.Leaf.Decode(r)
	u.Nodes = decodeList[UpdatePathNode](r)
}

// Append encodes the node.
func (n UpdatePathNode) Append(b []byte) []byte {
	return codec.AppendList(codec.AppendVec(b, n.EncryptionKey), n.Secrets)
}

// Decode reads a node.
func (n *UpdatePathNode) Decode(r *codec.Reader) {
	n.EncryptionKey = r.Vec()
	n.Secrets = decodeList[Ciphertext](r)
}

// Append encodes the ciphertext.
func (c Ciphertext) Append(b []byte) []byte {
	return codec.AppendVec(codec.AppendVec(b, c.KEMOutput), c.Ciphertext)
}

// Decode reads a ciphertext.
func (c *Ciphertext) Decode(r *codec.Reader) { c.KEMOutput, c.Ciphertext = r.Vec(), r.Vec() }
