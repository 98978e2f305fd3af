package ds

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
	"quicnprotochat/store"
)

func printTo(b *bytes.Buffer, v any, err error) { fmt.Fprintf(b, "%+v %v\n", v, err) }

// TestGroupLife: a group from its founding through racing commits, a Welcome, a removal and an external join.
func TestGroupLife(t *testing.T) {
	f := start(Limits{})
	defer f.Close()
	alice, bob, carol := f.caller(t, 1), f.caller(t, 2), f.caller(t, 3)
	const g = testGroup
	for range 2 { // the second time is a repetition
		alice.want(alice.create(g, 0, mlsHeader(groupInfo, g, 0, 0)), nil)
	}
	bob.want(bob.create(g, 0, nil), quicrpc.ErrExists)
	alice.mustPost(g, 1, 0, 1)
	if status, _, _, err := bob.post(g, 2, mlsHeader(privateMessage, g, 0, application)); err != nil || status != schemas.EnqueueStatus_notMember {
		t.Fatalf("a stranger's post: %v, %v", status, err)
	}
	add := change{group: g, id: 10, added: []byte{2}, welcomes: map[byte][]byte{2: welcomeText}, info: mlsHeader(groupInfo, g, 1, 0)}
	alice.mustCommit(add, 2)
	if out, err := alice.commit(add); err != nil || out != (outcome{schemas.CommitStatus_duplicate, 2, 1}) {
		t.Fatalf("repeated: %+v, %v", out, err)
	}
	if payloads, err := bob.fetch(nil); err != nil || len(payloads) != 1 || !bytes.Equal(payloads[0], welcomeText) {
		t.Fatalf("bob's inbox: %q, %v", payloads, err)
	}
	if out, err := bob.commit(change{group: g, epoch: 0, id: 11}); err != nil || out != (outcome{schemas.CommitStatus_wrongEpoch, 2, 1}) {
		t.Fatalf("a commit that lost: %+v, %v", out, err)
	}
	bob.mustPost(g, 3, 1, 3)
	status, _, epoch, err := bob.post(g, 4, mlsHeader(privateMessage, g, 0, proposal))
	if err != nil || status != schemas.EnqueueStatus_wrongEpoch || epoch != 1 {
		t.Fatalf("a proposal of the last epoch: %v in %d, %v", status, epoch, err)
	}
	if got := fmt.Sprint(alice.reads(g), bob.reads(g), carol.reads(g)); got != "[1 2 3] [3] []" {
		t.Fatalf("they read %s", got)
	}
	bob.mustCommit(change{group: g, epoch: 1, id: 12, info: mlsHeader(groupInfo, g, 2, 0)}, 4)
	alice.mustCommit(change{group: g, epoch: 2, id: 13, removed: []byte{2}, info: mlsHeader(groupInfo, g, 3, 0)}, 5)
	alice.mustPost(g, 5, 3, 6)
	if got := fmt.Sprint(alice.reads(g), bob.reads(g)); got != "[1 2 3 4 5 6] [3 4 5]" {
		t.Fatalf("they read %s", got)
	}
	if status, _, _, err := bob.post(g, 6, mlsHeader(privateMessage, g, 3, application)); err != nil || status != schemas.EnqueueStatus_notMember {
		t.Fatalf("a post of one who was removed: %v, %v", status, err)
	}
	testExternal(t, alice, carol)
	s, done, err := alice.status(g)
	defer done()
	founder, ferr := s.Founder()
	if err != nil || ferr != nil || s.Epoch() != 4 || s.Members() != 2 || s.Last() != 7 || !bytes.Equal(founder, key(1)) {
		t.Fatalf("status: epoch %d, %d members, last %d, %v", s.Epoch(), s.Members(), s.Last(), err)
	}
	if all, more, err := carol.members(g, nil, 1); err != nil || !more || !slices.Equal(all, []byte{1}) {
		t.Fatalf("members: %v, %v, %v", all, more, err)
	}
	if all, more, err := carol.members(g, key(2), 0); err != nil || more || !slices.Equal(all, []byte{3}) {
		t.Fatalf("members: %v, %v, %v", all, more, err)
	}
}

// testExternal: carol joins by an external commit when she is invited, once.
func testExternal(t *testing.T, alice, carol *caller) {
	const g = testGroup
	join := change{group: g, epoch: 3, id: 20, added: []byte{3}, message: mlsHeader(publicMessage, g, 3, commit, 4)}
	_, _, err := carol.info(g)
	carol.want(err, quicrpc.ErrNotFound)
	_, err = carol.commit(join)
	carol.want(err, quicrpc.ErrNotFound)
	alice.want(alice.invite(g, []byte{3, 4}, nil), nil)
	alice.want(alice.invite(g, []byte{3}, []byte{4, 5}), nil)
	epoch, info, err := carol.info(g)
	if err != nil || epoch != 3 || !bytes.Equal(info, mlsHeader(groupInfo, g, 3, 0)) {
		t.Fatalf("GroupInfo of %d: %q, %v", epoch, info, err)
	}
	grab := join
	grab.removed = []byte{1}
	_, err = carol.commit(grab)
	carol.want(err, quicrpc.ErrInvalidArgument)
	carol.mustCommit(join, 7)
	_, _, err = carol.info(g)
	carol.want(err, quicrpc.ErrNotFound) // she made none for the new epoch
	if r, _, err := alice.f.store.ListRecords(t.Context(), invitePrefix(g), "", 10); err != nil || len(r) != 0 {
		t.Fatalf("%d invitations are left, %v", len(r), err)
	}
}

// TestHostileGroups: calls that are refused, of strangers and of members, and what they leave: nothing.
func TestHostileGroups(t *testing.T) {
	f := start(Limits{MaxPayload: 10_000})
	defer f.Close()
	alice, bob, mallory := f.caller(t, 1), f.caller(t, 2), f.caller(t, 9)
	const g, other = testGroup, "another group, 2"
	alice.want(alice.create(g, 5, mlsHeader(groupInfo, g, 5, 0)), nil)
	bob.want(bob.create(other, 5, nil), nil)
	alice.mustCommit(change{group: g, epoch: 5, id: 1, added: []byte{3}, welcomes: map[byte][]byte{3: welcomeText}, info: mlsHeader(groupInfo, g, 6, 0)}, 1)
	before := f.picture(t, []string{g, other}, 1, 2, 3, 9)
	long := strings.Repeat("x", 65)
	many := make([]byte, 256)
	for i := range many {
		many[i] = byte(i)
	}
	commitOf := func(k *caller, c change) error { _, err := k.commit(c); return err }
	postOf := func(k *caller, group string, payload []byte) error {
		_, _, _, err := k.post(group, 77, payload)
		return err
	}
	for name, c := range map[string]struct{ err, want error }{
		"short id":                  {mallory.create("short", 0, nil), quicrpc.ErrInvalidArgument},
		"long id":                   {mallory.create(long, 0, nil), quicrpc.ErrInvalidArgument},
		"another's id":              {mallory.create(g, 5, nil), quicrpc.ErrExists},
		"another's id again":        {alice.create(g, 5, nil), quicrpc.ErrExists},
		"info of another group":     {mallory.create("a fresh group, 16", 0, mlsHeader(groupInfo, g, 0, 0)), quicrpc.ErrInvalidArgument},
		"info of another epoch":     {mallory.create("a fresh group, 16", 1, mlsHeader(groupInfo, "a fresh group, 16", 0, 0)), quicrpc.ErrInvalidArgument},
		"no info":                   {mallory.create("a fresh group, 16", 0, []byte("junk")), quicrpc.ErrInvalidArgument},
		"a stranger's commit":       {commitOf(mallory, change{group: g, epoch: 6}), quicrpc.ErrNotFound},
		"of no group":               {commitOf(mallory, change{group: "no such group, 16", epoch: 6}), quicrpc.ErrNotFound},
		"a stranger's external":     {commitOf(mallory, change{group: g, epoch: 6, added: []byte{9}, message: mlsHeader(publicMessage, g, 6, commit, 4)}), quicrpc.ErrNotFound},
		"forged epoch":              {commitOf(alice, change{group: g, epoch: 6, message: mlsHeader(privateMessage, g, 7, commit)}), quicrpc.ErrInvalidArgument},
		"message of another group":  {commitOf(alice, change{group: g, epoch: 6, message: mlsHeader(privateMessage, other, 6, commit)}), quicrpc.ErrInvalidArgument},
		"no commit":                 {commitOf(alice, change{group: g, epoch: 6, message: mlsHeader(privateMessage, g, 6, application)}), quicrpc.ErrInvalidArgument},
		"junk":                      {commitOf(alice, change{group: g, epoch: 6, message: []byte("junk")}), quicrpc.ErrInvalidArgument},
		"too large":                 {commitOf(alice, change{group: g, epoch: 6, message: make([]byte, 10_001)}), quicrpc.ErrTooLarge},
		"adds itself":               {commitOf(alice, change{group: g, epoch: 6, added: []byte{1}}), quicrpc.ErrInvalidArgument},
		"removes itself":            {commitOf(alice, change{group: g, epoch: 6, removed: []byte{1}}), quicrpc.ErrInvalidArgument},
		"removes a stranger":        {commitOf(alice, change{group: g, epoch: 6, removed: []byte{9}}), quicrpc.ErrInvalidArgument},
		"adds twice":                {commitOf(alice, change{group: g, epoch: 6, added: []byte{4, 4}}), quicrpc.ErrInvalidArgument},
		"welcomes who is not added": {commitOf(alice, change{group: g, epoch: 6, added: []byte{4}, welcomes: map[byte][]byte{5: welcomeText}}), quicrpc.ErrInvalidArgument},
		"no Welcome":                {commitOf(alice, change{group: g, epoch: 6, added: []byte{4}, welcomes: map[byte][]byte{4: mlsHeader(privateMessage, g, 6, application)}}), quicrpc.ErrInvalidArgument},
		"info of this epoch":        {commitOf(alice, change{group: g, epoch: 6, info: mlsHeader(groupInfo, g, 6, 0)}), quicrpc.ErrInvalidArgument},
		"external of a member":      {commitOf(alice, change{group: g, epoch: 6, added: []byte{1, 4}, removed: []byte{1}, message: mlsHeader(publicMessage, g, 6, commit, 4)}), quicrpc.ErrInvalidArgument},
		"post of another group":     {postOf(alice, other, mlsHeader(privateMessage, g, 6, application)), quicrpc.ErrInvalidArgument},
		"post of a commit":          {postOf(alice, g, mlsHeader(privateMessage, g, 6, commit)), quicrpc.ErrInvalidArgument},
		"application in the clear":  {postOf(alice, g, mlsHeader(publicMessage, g, 6, application, 1, 0, 0, 0, 0)), quicrpc.ErrInvalidArgument},
		"a newcomer's proposal":     {postOf(alice, g, mlsHeader(publicMessage, g, 6, proposal, 3)), quicrpc.ErrInvalidArgument},
		"post of junk":              {postOf(alice, g, []byte("junk")), quicrpc.ErrInvalidArgument},
		"replaces what is not bad":  {commitOf(alice, change{group: g, epoch: 5, replaces: true}), quicrpc.ErrNotAuthorized},
		"a stranger replaces":       {commitOf(mallory, change{group: g, epoch: 5, replaces: true}), quicrpc.ErrNotFound},
		"a stranger reports":        {third(mallory.report(g, 1)), quicrpc.ErrNotFound},
		"reports what is not there": {third(alice.report(g, 2)), quicrpc.ErrInvalidArgument},
		"roster for strangers":      {third(mallory.members(g, nil, 0)), quicrpc.ErrNotFound},
		"roster from nowhere":       {third(alice.members(g, []byte("x"), 0)), quicrpc.ErrInvalidArgument},
		"GroupInfo for strangers":   {third(mallory.info(g)), quicrpc.ErrNotFound},
		"status for strangers":      {third(mallory.status(g)), quicrpc.ErrNotFound},
		"a stranger invites":        {mallory.invite(g, []byte{9}, nil), quicrpc.ErrNotFound},
		"too many invited":          {alice.invite(g, many, []byte{1}), quicrpc.ErrInvalidArgument},
		"another's queue":           {mallory.acknowledge(store.Cursor{Queue: store.QueueID{Group: g}, Seq: 1}), quicrpc.ErrInvalidArgument},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", name, c.err, c.want)
		}
	}
	if after := f.picture(t, []string{g, other}, 1, 2, 3, 9); after != before {
		t.Errorf("changed from\n%s\nto\n%s", before, after)
	}
}

func third[A, B any](_ A, _ B, err error) error { return err }
