package mls_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"quicnprotochat/mls"
)

// writeState makes TestSavedStates write the state of this version anew; to be
// used once for each version of the format.
var writeState = flag.String("write-state", "", "write testdata/`NAME`.json")

// savedGroup is a group of three on disk, with messages on their way. The keys
// in it are used nowhere else.
type savedGroup struct {
	Members  []savedMember
	Messages [][]byte // to members[0], in order: application of a past epoch, one of the current, a proposal
	Texts    []string // of the applications
	Commit   []byte   // of members[1], pending there, unknown to members[0]
}

type savedMember struct {
	Name    string
	Key     []byte
	Records map[string][]byte
	Bundle  []byte // of the client that the commit adds
}

func savedClient(t tester, m savedMember) *client {
	t.Helper()
	id := must2(mls.NewBasicIdentity(suite1, m.Key, []byte(m.Name)))(t)
	return &client{name: m.Name, id: id, disk: m.Records}
}

func writeSavedGroup(t *testing.T, name string) {
	g := newTestGroup(t, suite1, 3, mls.Policy{})
	a, b, c := g.members[0], g.members[1], g.members[2]
	s := savedGroup{Texts: []string{"late", "early"}}
	b.send(t, "lost")
	s.Messages = append(s.Messages, b.send(t, "late"))
	a.process(t, b.send(t, "seen"))
	g.deliver(t, c, c.commit(t, mls.CommitOptions{}))
	s.Messages = append(s.Messages, c.send(t, "early"))
	// c's update is not known to a yet; b has it and commits it with an add.
	proposal := must2(c.group.ProposeUpdate())(t)
	c.save()
	b.process(t, proposal)
	s.Messages = append(s.Messages, proposal)
	d := g.newClient(t)
	k := d.bundle(t)
	r := b.commit(t, mls.CommitOptions{Proposals: []mls.Proposal{must2(mls.Add(k.Public()))(t)}})
	s.Commit = r.Commit
	for _, m := range []*client{a, b, c} {
		s.Members = append(s.Members, savedMember{m.name, m.id.SignaturePrivateKey(), m.disk, nil})
	}
	s.Members = append(s.Members, savedMember{d.name, d.id.SignaturePrivateKey(), nil, must2(k.MarshalBinary())(t)})
	s.Members[3].Records = map[string][]byte{"welcome": r.Welcome}
	out := must2(json.MarshalIndent(s, "", " "))(t)
	ok(t, os.MkdirAll("testdata", 0o755))
	ok(t, os.WriteFile(filepath.Join("testdata", name+".json"), out, 0o644))
}

func readSavedGroup(t tester, file string) *savedGroup {
	t.Helper()
	var s savedGroup
	ok(t, json.Unmarshal(must2(os.ReadFile(file))(t), &s))
	return &s
}

// TestSavedStates goes on with groups that earlier versions saved.
func TestSavedStates(t *testing.T) {
	if *writeState != "" {
		writeSavedGroup(t, *writeState)
	}
	files := must2(filepath.Glob("testdata/state-*.json"))(t)
	if len(files) == 0 {
		t.Fatal("no saved states")
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			s := readSavedGroup(t, f)
			var g group
			for _, m := range s.Members[:3] {
				c := savedClient(t, m)
				c.reload(t)
				g.members = append(g.members, c)
			}
			g.agree(t)
			a, b := g.members[0], g.members[1]
			for i, text := range s.Texts {
				if p := a.process(t, s.Messages[i]); string(p.Plaintext) != text {
					t.Errorf("message %d is %q", i, p.Plaintext)
				}
			}
			a.process(t, s.Messages[2])
			for _, c := range g.members {
				if p := c.process(t, s.Commit); p.Own != (c == b) || len(p.Added) != 1 {
					t.Errorf("%s: %+v", c.name, p)
				}
				c.reload(t)
			}
			var k mls.KeyPackageBundle
			ok(t, k.UnmarshalBinary(s.Members[3].Bundle))
			d := savedClient(t, s.Members[3])
			welcome := bytes.Clone(d.disk["welcome"])
			d.disk = map[string][]byte{}
			d.join(t, welcome, &k)
			g.members = append(g.members, d)
			g.agree(t)
			for _, c := range g.members {
				g.deliver(t, c, c.commit(t, mls.CommitOptions{}))
				g.agree(t)
			}
		})
	}
}
