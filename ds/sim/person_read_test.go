package sim

import "testing"

// TestPersonAddedAnew: one who was removed and added anew before reading of either gets, first of all, what somebody slow wrote for the first time as a member. It does
// not take that for the second: the commit that follows waits for its Welcome.
func TestPersonAddedAnew(t *testing.T) {
	w := &world{t: t}
	p := newPerson(w, 1)
	w.founded("g", 0)
	take := func(queue string, seq uint64, m message) bool {
		return p.receive(queue, seq, m.encode("g"))
	}
	welcome := func(epoch uint64) message {
		return message{ID: "welcome", Commit: true, Epoch: epoch, Roster: []int{0, 1}, Added: []int{1}}
	}
	join := func(seq, epoch uint64) {
		m := welcome(epoch)
		if !p.receive("", seq, m.encodeWelcome("g")) {
			t.Fatal("a Welcome was refused")
		}
	}
	join(1, 11)
	if !take("g", 35, message{ID: "late", Epoch: 12}) {
		t.Fatal("a late message was refused")
	}
	if take("g", 36, message{ID: "new", Epoch: 17, Commit: true}) {
		t.Fatal("a commit was taken before its Welcome")
	}
	join(2, 16)
	if !take("g", 36, message{ID: "new", Epoch: 17, Commit: true}) || p.groups["g"].epoch != 18 || !p.groups["g"].fresh {
		t.Fatalf("after the Welcome: %+v", p.groups["g"])
	}
}
