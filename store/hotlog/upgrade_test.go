package hotlog

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"quicnprotochat/store"
	"quicnprotochat/store/pebble"
)

// The directories in testdata were written by the version that has their name, and are never written again: a new version adds its own. TestMakeOld
// makes those of today's version, when QUICNPROTOCHAT_MAKE_OLD is set.

func oldOptions(encrypted bool) Options {
	o := small("/store")
	o.FS, o.Clock = vfs.NewMem(), newClock().now // so that nothing has expired
	if encrypted {
		o.Key = bytes.Repeat([]byte{7}, KeySize)
	}
	return o
}

func oldName(version int, encrypted bool) string {
	kind := "clear"
	if encrypted {
		kind = "encrypted"
	}
	return fmt.Sprintf("v%d-%s.tar.gz", version, kind)
}

func oldPackage(n byte) store.KeyPackage {
	return store.KeyPackage{
		Fingerprint: [32]byte{n}, InitKey: [32]byte{n, 1}, NotAfter: newClock().now().Add(1000 * time.Hour), LastResort: n == 9, Data: bytes.Repeat([]byte{n}, 50),
	}
}

const oldMessages = 40

func oldQueue(n int) store.QueueID {
	return store.QueueID{Owner: benchOwner(n), Group: []string{"", "conversation"}[n%2]}
}

// fillOld stores what checkOld finds: once in the tree, and once in the log.
func fillOld(t *testing.T, s *Store) {
	for n := range 6 {
		for i := uint64(1); i <= oldMessages; i++ {
			put(t, s, testMessage(oldQueue(n), i))
		}
		if err := s.Acknowledge(t.Context(), []store.Cursor{{Queue: oldQueue(n), Seq: 5}}); err != nil {
			t.Fatal(err)
		}
	}
	newGroup(t, s, "g", 3)
	for n := uint64(1); n <= oldMessages; n++ {
		mustPost(t, s, testPost("g", 1, n), store.Result{Status: store.Stored, Seq: n + 1})
	}
	ack(t, s, shared(1, "g"), 9)
	retireAll(t, s)
	for n := range 3 {
		put(t, s, testMessage(oldQueue(n), oldMessages+1))
	}
	mustPost(t, s, testPost("g", 2, oldMessages+1), store.Result{Status: store.Stored, Seq: oldMessages + 2})
	packages := []store.KeyPackage{oldPackage(1), oldPackage(2), oldPackage(9)}
	if err := s.PutKeyPackages(t.Context(), benchOwner(1), packages); err != nil {
		t.Fatal(err)
	}
	if _, err := s.TakeKeyPackage(t.Context(), benchOwner(1)); err != nil {
		t.Fatal(err)
	}
	_, parts := testBlob(1, 1000)
	mustPut(t, s, parts[0])
	for n := range 5 {
		if _, err := s.PutRecord(t.Context(), fmt.Sprint("record/", n), fmt.Append(nil, "value ", n), 0); err != nil {
			t.Fatal(err)
		}
	}
}

func checkOld(t *testing.T, s *Store) {
	if n := s.Internals().Corrupt; n != 0 {
		t.Errorf("%d corrupt records", n)
	}
	for n := range 6 {
		last := uint64(oldMessages)
		if n < 3 {
			last++
		}
		p, err := s.Read(t.Context(), oldQueue(n), 0, 100, 1<<20)
		if err != nil || p.Acknowledged != 5 || p.Last != last || uint64(len(p.Messages)) != last-5 {
			t.Fatalf("queue %d: %d messages above %d up to %d, %v", n, len(p.Messages), p.Acknowledged, p.Last, err)
		}
		for i, d := range p.Messages {
			want := testMessage(oldQueue(n), uint64(i)+6)
			if d.Seq != uint64(i)+6 || d.ID != want.ID || !bytes.Equal(d.Payload, want.Payload) {
				t.Errorf("queue %d: message %d is another", n, d.Seq)
			}
		}
		for _, i := range []uint64{1, 6, last} {
			r, err := s.Enqueue(t.Context(), []store.Message{testMessage(oldQueue(n), i)})
			if err != nil || r[0] != (store.Result{Status: store.Duplicate, Seq: i}) {
				t.Errorf("queue %d: id of message %d again: %+v, %v", n, i, r, err)
			}
		}
		if seq := put(t, s, testMessage(oldQueue(n), 1000)); seq != last+1 {
			t.Errorf("queue %d: the next is %d", n, seq)
		}
	}
	checkOldGroup(t, s)
	if p, err := s.CountKeyPackages(t.Context(), benchOwner(1)); err != nil || p.Available != 1 {
		t.Errorf("KeyPackages: %+v, %v", p, err)
	}
	want := []store.SuiteStatus{{Suite: 0x0202, PoolStatus: store.PoolStatus{Available: 1}}, {Suite: 0x0909, PoolStatus: store.PoolStatus{LastResort: true}}}
	if suites, err := s.CountSuites(t.Context(), benchOwner(1)); err != nil || !slices.Equal(suites, want) {
		t.Errorf("KeyPackages by suite: %+v, %v", suites, err)
	}
	if p, err := s.TakeKeyPackages(t.Context(), benchOwner(1), []uint16{0x0909, 1}); err != nil || len(p) != 1 || p[0].Fingerprint != oldPackage(9).Fingerprint {
		t.Errorf("KeyPackage of a suite: %+v, %v", p, err)
	}
	for _, n := range []byte{2, 9, 9} {
		want := oldPackage(n)
		p, err := s.TakeKeyPackage(t.Context(), benchOwner(1))
		if err != nil || p.Fingerprint != want.Fingerprint || p.InitKey != want.InitKey || !bytes.Equal(p.Data, want.Data) {
			t.Errorf("KeyPackage %d: %+v, %v", n, p, err)
		}
	}
	content, parts := testBlob(1, 1000)
	if b, err := s.ReadChunk(t.Context(), parts[0].Blob, 0); err != nil || !bytes.Equal(b, content) {
		t.Errorf("blob: %d bytes, %v", len(b), err)
	}
	records, more, err := s.ListRecords(t.Context(), "record/", "", 100)
	if err != nil || more || len(records) != 5 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	for n, r := range records {
		if r.Key != fmt.Sprint("record/", n) || string(r.Value) != fmt.Sprint("value ", n) || r.Version == 0 {
			t.Errorf("record %d: %+v", n, r)
		}
	}
}

func checkOldGroup(t *testing.T, s *Store) {
	if g := describe(t, s, "g"); g.Epoch != 8 || g.Members != 3 || g.Last != oldMessages+2 || string(g.Info) != "info 8" {
		t.Errorf("group: %+v", g)
	}
	reads(t, s, shared(0, "g"), 1, oldMessages+2)
	reads(t, s, shared(1, "g"), 10, oldMessages+2)
	mustPost(t, s, testPost("g", 2, oldMessages+1), store.Result{Status: store.Duplicate, Seq: oldMessages + 2})
	mustCommit(t, s, testCommit("g", 0, 8), oldMessages+3)
}

// TestMakeOld writes the directories of today's version, where there is none yet.
func TestMakeOld(t *testing.T) {
	if os.Getenv("QUICNPROTOCHAT_MAKE_OLD") == "" {
		t.Skip("QUICNPROTOCHAT_MAKE_OLD is not set; what is in testdata stays")
	}
	for _, encrypted := range []bool{false, true} {
		o := oldOptions(encrypted)
		s := mustOpen(t, o)
		fillOld(t, s)
		mustClose(t, s)
		f, err := os.OpenFile(filepath.Join("testdata", oldName(formatVersion, encrypted)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		z := gzip.NewWriter(f)
		w := tar.NewWriter(z)
		pack(t, w, o.FS, o.Dir)
		if err := errors.Join(w.Close(), z.Close(), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

func pack(t *testing.T, w *tar.Writer, fs vfs.FS, path string) {
	t.Helper()
	st, err := fs.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if st.IsDir() {
		names, err := fs.List(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			pack(t, w, fs, fs.PathJoin(path, n))
		}
		return
	}
	content := readFile(t, fs, path)
	err = w.WriteHeader(&tar.Header{Name: strings.TrimPrefix(path, "/"), Mode: 0o600, Size: int64(len(content))})
	if err == nil {
		_, err = w.Write(content)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// unpack puts an archive of testdata into memory.
func unpack(t *testing.T, fs vfs.FS, name string) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		memFile(t, fs, "/"+h.Name, content)
	}
}

func memFile(t *testing.T, fs vfs.FS, path string, content []byte) {
	t.Helper()
	if err := fs.MkdirAll(fs.PathDir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestUpgrade: what this version and those before it wrote is found.
func TestUpgrade(t *testing.T) {
	for version := formatBefore; version <= formatVersion; version++ {
		for _, encrypted := range []bool{false, true} {
			t.Run(oldName(version, encrypted), func(t *testing.T) {
				o := oldOptions(encrypted)
				unpack(t, o.FS, oldName(version, encrypted))
				if m := inspect(t, o); m.Damaged != 0 {
					t.Errorf("%+v", m)
				}
				s := mustOpen(t, o)
				checkOld(t, s)
				mustClose(t, s)
				if text := readFile(t, o.FS, o.Dir+"/"+formatFile); !strings.HasPrefix(string(text), fmt.Sprint(formatPrefix, formatVersion, " ")) {
					t.Errorf("FORMAT is %q", text)
				}
				s = mustOpen(t, o)
				reads(t, s, shared(0, "g"), 1, oldMessages+3)
				mustClose(t, s)
			})
		}
	}
}

// TestUpgradeRefused: a directory of another engine, or of a newer version, is refused, and nothing in it changes but for the lock.
func TestUpgradeRefused(t *testing.T) {
	for _, text := range []string{"1\n", "99 00112233445566778899aabbccddeeff\n", "99 of a layout unknown today\n"} {
		o := oldOptions(false)
		unpack(t, o.FS, oldName(formatVersion, false))
		memFile(t, o.FS, "/store/"+formatFile, []byte(formatPrefix+text))
		checkRefused(t, o)
	}
	o := oldOptions(false)
	first, err := pebble.Open(o.Dir, pebble.Options{FS: o.FS})
	if err != nil {
		t.Fatal(err)
	}
	m := testMessage(oldQueue(1), 1)
	if _, err := first.Enqueue(t.Context(), []store.Message{m}); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	checkRefused(t, o)
}

func checkRefused(t *testing.T, o Options) {
	t.Helper()
	before := sums(t, o.FS, o.Dir)
	if _, err := Open(o); !errors.Is(err, store.ErrVersion) {
		t.Errorf("opened with %v", err)
	}
	after := sums(t, o.FS, o.Dir)
	if len(before) < 3 || len(after) != len(before) {
		t.Errorf("%d files became %d", len(before), len(after))
	}
	for path, sum := range before {
		if after[path] != sum {
			t.Errorf("%s has changed", path)
		}
	}
}

// sums are the hashes of all files below a path, but for the lock.
func sums(t *testing.T, fs vfs.FS, path string) map[string][32]byte {
	t.Helper()
	found := make(map[string][32]byte)
	names, err := fs.List(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		p := fs.PathJoin(path, n)
		st, err := fs.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		if st.IsDir() {
			for k, v := range sums(t, fs, p) {
				found[k] = v
			}
		} else if n != "LOCK" {
			found[p] = sha256.Sum256(readFile(t, fs, p))
		}
	}
	return found
}
