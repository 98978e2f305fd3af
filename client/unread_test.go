package client

import (
	"errors"
	"strconv"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// TestUnreadOfOneGroup: what is shown and counted is of the group asked for; the rest stays.
func TestUnreadOfOneGroup(t *testing.T) {
	a := newAccount(t, t.TempDir())
	defer a.Close()
	if err := a.state.update(func(tx *bolt.Tx) error {
		for i := range 6 {
			m := Message{Group: []byte{'x' + byte(i%2)}, Kind: KindText, Text: []byte(strconv.Itoa(i))}
			if err := putUnread(tx, m); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("refused")
	got := ""
	err := a.Unread("y", func(m Message) error {
		if string(m.Text) == "5" {
			return refused
		}
		got += string(m.Text)
		return nil
	})
	if !errors.Is(err, refused) || got != "13" {
		t.Errorf("shown %q, %v", got, err)
	}
	for group, want := range map[string]int{"x": 3, "y": 1, "": 4} {
		if n, err := a.UnreadCount(group); n != want || err != nil {
			t.Errorf("%q: %d left, want %d, %v", group, n, want, err)
		}
	}
}

// TestUnreadInPieces: a long backlog is shown once and in order, and what could not be shown stays, wherever showing it fails.
func TestUnreadInPieces(t *testing.T) {
	const count = 2*maxShown + 10
	a := newAccount(t, t.TempDir())
	defer a.Close()
	if err := a.state.update(func(tx *bolt.Tx) error {
		for i := range count {
			if err := putUnread(tx, Message{Group: []byte("g"), Kind: KindText, Text: []byte(strconv.Itoa(i))}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	full, next := errors.New("full"), 0
	for _, end := range []int{0, 1, maxShown, 2*maxShown + 3, count} {
		err := a.Unread("", func(m Message) error {
			if next == end {
				return full
			}
			if string(m.Text) != strconv.Itoa(next) {
				t.Fatalf("%q in place of %d", m.Text, next)
			}
			next++
			return nil
		})
		if end < count && !errors.Is(err, full) || end == count && err != nil || next != end {
			t.Fatalf("shown to %d in place of %d, %v", next, end, err)
		}
		if n, err := a.UnreadCount(""); n != count-end || err != nil {
			t.Fatalf("%d left of %d, %v", n, count-end, err)
		}
	}
}
