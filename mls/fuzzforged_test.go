package mls

import (
	"encoding/json"
	"os"
	"testing"

	"quicnprotochat/mls/internal/codec"
	"quicnprotochat/mls/internal/wire"
)

// FuzzForgedHandshake lets a member sign and frame anything as a proposal or
// commit, so that the fuzzer reaches what lies behind signature and membership
// tag.
func FuzzForgedHandshake(f *testing.F) {
	b, err := os.ReadFile("testdata/state-v1.json")
	if err != nil {
		f.Fatal(err)
	}
	var saved struct {
		Members []struct {
			Name    string
			Key     []byte
			Records map[string][]byte
		}
		Messages [][]byte
	}
	if err := json.Unmarshal(b, &saved); err != nil {
		f.Fatal(err)
	}
	load := func(t testing.TB, i int) *Group {
		m := saved.Members[i]
		id, err := NewBasicIdentity(benchSuite, m.Key, []byte(m.Name))
		if err != nil {
			t.Fatal(err)
		}
		var records []Record
		for k, v := range m.Records {
			records = append(records, Record{k, v})
		}
		g, err := LoadGroup(records, id, Policy{})
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	mallory := load(f, 1)
	mallory.DiscardPending()
	for _, p := range []Proposal{Remove(2), ExternalPSK([]byte("x")), ReInit([]byte("n"), benchSuite, nil),
		GroupExtensions([]Extension{RequiredCapabilities(nil, nil, []uint16{1})})} {
		w, err := p.withNonce(mallory.suite)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(false, wire.SenderMember, codec.Encode(w))
		f.Add(true, wire.SenderMember, codec.Encode(&wire.Commit{Proposals: []wire.ProposalOrRef{{Proposal: w}}}))
	}
	res, err := mallory.Commit(CommitOptions{ForcePath: true, Framing: FramingPublic})
	if err != nil {
		f.Fatal(err)
	}
	mallory.DiscardPending()
	var m wire.Message
	if err := decode(res.Commit, &m); err != nil {
		f.Fatal(err)
	}
	f.Add(true, wire.SenderMember, m.Public.Content.Body)
	f.Add(true, wire.SenderNewMemberCommit, m.Public.Content.Body)

	f.Fuzz(func(t *testing.T, commit bool, sender uint8, body []byte) {
		ac := mallory.newContent(FramingPublic, nil)
		ac.Content.Type = wire.ContentProposal
		if commit {
			ac.Content.Type = wire.ContentCommit
		}
		if sender != wire.SenderMember {
			ac.Content.Sender = wire.Sender{Type: sender}
		}
		r := codec.NewReader(body)
		if ac.Content.DecodeBody(r); r.Done() != nil {
			return
		}
		keys := mallory.cur.keys()
		if err := keys.Sign(ac, mallory.id.key); err != nil {
			t.Fatal(err)
		}
		ac.Auth.ConfirmationTag = make([]byte, mallory.suite.Nh)
		message := codec.Encode(&wire.Message{Format: wire.FormatPublicMessage, Public: keys.Public(ac)})
		alice := load(t, 0)
		before := snapshot(alice)
		if _, err := alice.Process(message); err != nil && snapshot(alice) != before {
			t.Fatalf("a refused message changed the group: %v", err)
		}
	})
}
