package idset

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestDrop: a bucket goes, with its files; a copy that is being made keeps them until it has ended.
func TestDrop(t *testing.T) {
	o := options(vfs.NewMem(), 1<<20)
	s := mustOpen(t, o)
	defer s.Close()
	add(t, s, 1, 1, entries(0, 1000))
	add(t, s, 2, 2, entries(1000, 1000))
	if err := o.FS.MkdirAll("copy", 0o700); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.held++
	s.mu.Unlock()
	if n, err := s.Drop(2); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if names, _ := o.FS.List(o.Dir); len(names) != 2 {
		t.Fatalf("%q", names)
	}
	if err := s.release(); err != nil {
		t.Fatal(err)
	}
	if names, _ := o.FS.List(o.Dir); len(names) != 1 {
		t.Fatalf("%q", names)
	}
	expect(t, s, 0, 1000, false)
	expect(t, s, 1000, 2000, true)
	if err := s.CopyTo(t.Context(), "copy"); err != nil {
		t.Fatal(err)
	}
	o.Dir = "copy"
	c := mustOpen(t, o)
	defer c.Close()
	expect(t, c, 1000, 2000, true)
}

// TestReplacedWhileRead: a run that takes the place of another, as after a crash, while that one is read: neither is lost.
func TestReplacedWhileRead(t *testing.T) {
	s := mustOpen(t, options(vfs.NewMem(), 1<<20))
	defer s.Close()
	add(t, s, 1, 1, entries(0, 1000))
	s.mu.Lock()
	s.held++
	old := s.runs[0]
	s.mu.Unlock()
	add(t, s, 1, 1, entries(0, 1000))
	if seq, err := old.find(&entries(0, 1)[0].ID); seq != 1 || err != nil {
		t.Fatalf("the old file was closed: %d, %v", seq, err)
	}
	if err := s.release(); err != nil {
		t.Fatal(err)
	}
	expect(t, s, 0, 1000, true)
	if names, _ := s.o.FS.List(s.o.Dir); len(names) != 1 {
		t.Fatalf("%q", names)
	}
}
