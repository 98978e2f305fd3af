package hotlog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
)

// furnish puts something of everything into a store, part of it in the tree.
func furnish(t *testing.T, s *Store) {
	t.Helper()
	newGroup(t, s, "g", 3)
	for n := uint64(1); n <= 300; n++ {
		put(t, s, testMessage(store.QueueID{Owner: benchOwner(int(n % 3)), Group: []string{"", "q"}[n%2]}, n))
		mustPost(t, s, testPost("g", 1, n), store.Result{Status: store.Stored, Seq: n + 1})
	}
	ack(t, s, shared(1, "g"), 20)
	data := []byte("a KeyPackage")
	p := store.KeyPackage{Fingerprint: sha256.Sum256(data), InitKey: sha256.Sum256([]byte("init")), NotAfter: time.Now().Add(time.Hour), Data: data}
	if err := s.PutKeyPackages(t.Context(), benchOwner(1), []store.KeyPackage{p}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutRecord(t.Context(), "name", []byte("value"), 0); err != nil {
		t.Fatal(err)
	}
	_, parts := testBlob(1, 5000)
	mustPut(t, s, parts[0])
	retireAll(t, s)
	for n := uint64(301); n <= 320; n++ {
		put(t, s, testMessage(store.QueueID{Owner: benchOwner(1)}, n))
	}
}

// contents are all files of a directory but for the locks.
func contents(t *testing.T, f vfs.FS, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	names, err := f.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		path := f.PathJoin(dir, n)
		st, err := f.Stat(path)
		switch {
		case err != nil:
			t.Fatal(err)
		case st.IsDir():
			for k, v := range contents(t, f, path) {
				all[k] = v
			}
		case n != "LOCK":
			file, err := f.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(file)
			if err = errors.Join(err, file.Close()); err != nil {
				t.Fatal(err)
			}
			all[path] = fmt.Sprintf("%x", sha256.Sum256(b))
		}
	}
	return all
}

func inspect(t *testing.T, o Options) *Summary {
	t.Helper()
	m, err := Inspect(t.Context(), o, func(*Item) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestInspect looks at a store that holds everything, which it leaves as it is.
func TestInspect(t *testing.T) {
	for _, key := range [][]byte{nil, make([]byte, KeySize)} {
		o := blobOptions(vfs.NewMem())
		o.Key, o.LogBytes, o.HotRecords = key, 2<<20, 100
		s := mustOpen(t, o)
		furnish(t, s)
		if _, err := Inspect(t.Context(), o, nil); !errors.Is(err, store.ErrLocked) {
			t.Errorf("while it is open: %v", err)
		}
		mustClose(t, s)
		before := contents(t, o.FS, o.Dir)
		payloads := 0
		m, err := Inspect(t.Context(), o, func(item *Item) error {
			if item.Kind == "message" && item.Err == nil && len(item.Value) == item.Size {
				payloads++
			}
			return nil
		})
		if err != nil || m.Damaged != 0 {
			t.Fatalf("%+v, %v", m, err)
		}
		if fmt.Sprint(contents(t, o.FS, o.Dir)) != fmt.Sprint(before) {
			t.Error("it was changed")
		}
		if payloads < 620 {
			t.Errorf("%d messages, 622 were stored", payloads)
		}
		for _, kind := range []string{"message", "queue", "membership", "group", "GroupInfo", "member", "KeyPackage", "record", "blob", "chunk of a blob", "where the log begins"} {
			if m.Tree[kind] == 0 {
				t.Errorf("the tree has no %s: %v", kind, m.Tree)
			}
		}
		if m.IDs < 600 {
			t.Errorf("%d message ids", m.IDs)
		}
		if m.Log["message"] < 20 {
			t.Errorf("the log: %v", m.Log)
		}
		wrong := o
		wrong.Key = bytes.Repeat([]byte{9}, KeySize)
		if _, err := Inspect(t.Context(), wrong, nil); !errors.Is(err, ErrKey) {
			t.Errorf("another key: %v", err)
		}
		stop := errors.New("enough")
		if _, err := Inspect(t.Context(), o, func(*Item) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("stopped: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Inspect(ctx, o, func(*Item) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("nobody waits: %v", err)
		}
		mustClose(t, mustOpen(t, o)) // the lock was given back
	}
	if _, err := Inspect(t.Context(), Options{Dir: "/nothing", FS: vfs.NewMem()}, nil); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("no store: %v", err)
	}
}

// TestInspectDamage: a flipped bit in the log or in a table of the tree is reported, with where it stands.
func TestInspectDamage(t *testing.T) {
	for _, where := range []string{logDir, treeDir} {
		o := small(t.TempDir())
		o.LogBytes = 64 << 10
		s := mustOpen(t, o)
		q := store.QueueID{Owner: benchOwner(1)}
		random := func(n uint64) []byte { // so that it stands in a table as it is
			b, _ := testBlob(int(n), 300)
			return b
		}
		add := func(n uint64) {
			m := testMessage(q, n)
			m.Payload = random(n)
			put(t, s, m)
		}
		for n := range uint64(900) {
			add(n + 1)
		}
		retireAll(t, s)
		for n := range uint64(5) {
			add(n + 901)
		}
		mustClose(t, s)
		if m := inspect(t, o); m.Damaged != 0 || m.Torn {
			t.Fatalf("%+v", m)
		}
		text := random(903)
		if where == treeDir {
			text = random(3)
		}
		damage(t, filepath.Join(o.Dir, where), text[100:200])
		m, err := Inspect(t.Context(), o, func(*Item) error { return nil })
		if err != nil || m.Damaged == 0 || !strings.HasPrefix(m.Damage[0], where) || m.Tree["queue"] == 0 {
			t.Errorf("%s: %+v, %v", where, m, err)
		}
		s = mustOpen(t, o)
		if _, err := s.Read(t.Context(), q, 0, 10_000, 1<<30); where == treeDir && !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("read of a damaged table: %v", err)
		}
		mustClose(t, s)
	}
}
