package mls_test

import (
	"bytes"
	"testing"
	"time"

	"quicnprotochat/mls"
)

// fuzzState returns the state of a member that never changes between runs, so
// that what the fuzzer finds can be found again.
func fuzzState(f *testing.F) (*savedGroup, func(tester) *client) {
	s := readSavedGroup(f, "testdata/state-v1.json")
	return s, func(t tester) *client {
		m := s.Members[0]
		records := map[string][]byte{}
		for k, v := range m.Records {
			records[k] = bytes.Clone(v)
		}
		m.Records = records
		c := savedClient(t, m)
		c.reload(t)
		return c
	}
}

// FuzzProcess hands anything to a live group. What is refused has no effect,
// what is accepted leaves a group that can be saved and loaded.
func FuzzProcess(f *testing.F) {
	s, load := fuzzState(f)
	for _, m := range append(s.Messages, s.Commit) {
		f.Add(m)
	}
	f.Fuzz(func(t *testing.T, m []byte) {
		c := load(t)
		before := state(c)
		if _, err := c.group.Process(m); err != nil {
			if state(c) != before {
				t.Fatal("a refused message changed the group")
			}
			return
		}
		c.save()
		c.reload(t)
	})
}

func FuzzKeyPackage(f *testing.F) {
	s, load := fuzzState(f)
	var k mls.KeyPackageBundle
	if err := k.UnmarshalBinary(s.Members[3].Bundle); err != nil {
		f.Fatal(err)
	}
	f.Add(k.Public())
	f.Add(k.Message())
	c := load(f)
	c.group.DiscardPending()
	f.Fuzz(func(t *testing.T, raw []byte) {
		info, err := mls.InspectKeyPackage(raw)
		p, addErr := mls.Add(raw)
		if err == nil && (addErr != nil || len(info.Ref) == 0) {
			t.Fatalf("valid, but cannot be added: %v", addErr)
		}
		if addErr == nil {
			if _, err := c.group.Commit(mls.CommitOptions{Proposals: []mls.Proposal{p}}); err == nil {
				c.group.DiscardPending()
			}
		}
	})
}

func FuzzPeekMessage(f *testing.F) {
	s, _ := fuzzState(f)
	for _, m := range append(s.Messages, s.Commit) {
		f.Add(m)
	}
	f.Fuzz(func(t *testing.T, m []byte) {
		info, err := mls.PeekMessage(m)
		if err == nil && len(info.GroupID)+len(info.AAD) > len(m) {
			t.Fatal("longer than the message")
		}
		_, _ = mls.WelcomeRefs(m)
	})
}

// FuzzJoin opens welcomes.
func FuzzJoin(f *testing.F) {
	s, _ := fuzzState(f)
	f.Add(s.Members[3].Records["welcome"], []byte(nil))
	c := savedClient(f, s.Members[3])
	f.Fuzz(func(t *testing.T, welcome, tree []byte) {
		var k mls.KeyPackageBundle
		if err := k.UnmarshalBinary(s.Members[3].Bundle); err != nil {
			t.Fatal(err)
		}
		_, _ = mls.Join(welcome, &k, c.id, mls.JoinOptions{RatchetTree: tree})
	})
}

// FuzzGroupInfo inspects and joins through group infos.
func FuzzGroupInfo(f *testing.F) {
	_, load := fuzzState(f)
	c := load(f)
	c.group.DiscardPending()
	for _, omit := range []bool{false, true} {
		info, err := c.group.GroupInfo(mls.GroupInfoOptions{OmitRatchetTree: omit})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(info, c.group.RatchetTree())
	}
	stranger := newClient(f, suite1, "stranger")
	f.Fuzz(func(t *testing.T, info, tree []byte) {
		_, err := mls.InspectGroupInfo(info, tree, mls.Policy{})
		_, _, joinErr := mls.ExternalJoin(info, stranger.id, mls.ExternalJoinOptions{RatchetTree: tree})
		if err != nil && joinErr == nil {
			t.Fatalf("an invalid group can be joined: %v", err)
		}
	})
}

// FuzzState loads saved states with one record changed.
func FuzzState(f *testing.F) {
	s, _ := fuzzState(f)
	var keys []string
	for k, v := range s.Members[1].Records { // the one with a pending commit
		f.Add(k, v)
		keys = append(keys, k)
	}
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		c := savedClient(t, s.Members[1])
		var records []mls.Record
		for _, k := range keys {
			if k != key {
				records = append(records, mls.Record{Key: k, Value: s.Members[1].Records[k]})
			}
		}
		records = append(records, mls.Record{Key: key, Value: value})
		g, err := mls.LoadGroup(records, c.id, mls.Policy{})
		if err != nil {
			return
		}
		g.Snapshot()
		_, _ = g.Protect([]byte("still alive"), nil)
		_ = g.MergePending()
		g.Members()
	})
}

func FuzzGroupMember(f *testing.F) {
	m, err := mls.NewGroupMember([]byte("alice"))
	if err != nil {
		f.Fatal(err)
	}
	if err := m.CreateGroup([]byte("g")); err != nil {
		f.Fatal(err)
	}
	if _, err := m.GenerateKeyPackage(); err != nil {
		f.Fatal(err)
	}
	b, err := m.MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		var m mls.GroupMember
		if m.UnmarshalBinary(b) != nil {
			return
		}
		_, _ = m.SendMessage([]byte(time.Time{}.String()))
		if _, err := m.MarshalBinary(); err != nil {
			t.Fatal(err)
		}
	})
}
