package integration

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"quicnprotochat/certs"
	"quicnprotochat/client"
	"quicnprotochat/schemas"
)

// largeGroup is how many members TestLargeGroup has, and how many messages they get: QUICNPROTOCHAT_MEMBERS and QUICNPROTOCHAT_MESSAGES, or a tenth of what the issue asks for.
func largeGroup(t *testing.T) (members, messages int) {
	read := func(name string, def int) int {
		text := os.Getenv(name)
		if text == "" {
			return def
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 2 {
			t.Fatalf("%s is %q", name, text)
		}
		return n
	}
	return read("QUICNPROTOCHAT_MEMBERS", 100), read("QUICNPROTOCHAT_MESSAGES", 1000)
}

// applicationHeader is the beginning of a PrivateMessage with application data; what follows is up to who sends it.
func applicationHeader(group string, epoch uint64) []byte {
	b := append([]byte{0, 1, 0, 2, byte(len(group))}, group...)
	return append(binary.BigEndian.AppendUint64(b, epoch), 1)
}

// orderedReader counts what a member gets of a group, which must come in order, from the first to the last, each once.
type orderedReader struct {
	first, last uint64
	next        uint64
	done        chan struct{}
}

func newOrderedReader(first, last uint64) *orderedReader {
	return &orderedReader{first: first, last: last, next: first, done: make(chan struct{})}
}

func (r *orderedReader) handle(t *testing.T) client.Handler {
	return func(_ context.Context, q client.Queue, batch []client.Envelope) error {
		if !q.Shared {
			return nil
		}
		for _, e := range batch {
			if e.Seq != r.next {
				t.Errorf("message %d, want %d", e.Seq, r.next)
				return errors.New("out of order")
			}
			if r.next++; e.Seq == r.last {
				close(r.done)
			}
		}
		return nil
	}
}

// readAll has people listen until each has all, and ends their connections.
func readAll(ctx context.Context, t *testing.T, addr string, people []*person, first, last uint64, started func()) {
	t.Helper()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var ready, ended sync.WaitGroup
	readers := make([]*orderedReader, len(people))
	for i, p := range people {
		s := dial(t, addr, p)
		readers[i] = newOrderedReader(first, last)
		ready.Add(1)
		ended.Go(func() {
			defer s.Close()
			if err := s.Listen(ctx, client.ListenOptions{Started: ready.Done}, readers[i].handle(t)); ctx.Err() == nil {
				t.Errorf("member %d: %v", i, err)
			}
		})
	}
	ready.Wait()
	started()
	for i, r := range readers {
		select {
		case <-r.done:
		case <-ctx.Done():
			t.Fatalf("member %d has messages up to %d of %d", i, r.next-1, last)
		}
	}
	stop()
	ended.Wait()
}

// TestLargeGroup: a message to a group is stored once, however many members it has: those who listen get all in order, and so do, later, those who did not.
func TestLargeGroup(t *testing.T) {
	members, messages := largeGroup(t)
	const payload = 4096
	dir := t.TempDir()
	d := startInProcessAt(t, dir)
	addr := d.Addr().String()
	founder := newPerson(t)
	people, ids := make([]*person, members-1), make([]certs.Identity, members-1)
	for i := range people {
		people[i] = newPerson(t)
		ids[i] = people[i].id
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	s := dial(t, addr, founder)
	const group = "a large group of bytes"
	if err := s.CreateGroup(ctx, group, 0, nil); err != nil {
		t.Fatal(err)
	}
	out, err := s.CommitGroup(ctx, &client.GroupCommit{Group: group, ID: client.MessageID{1}, Message: commitHeader(group, 0), Added: ids})
	if err != nil || out.Status != schemas.CommitStatus_accepted {
		t.Fatal(out, err)
	}
	online, offline := people[:len(people)/2], people[len(people)/2:]
	first, last := out.Seq+1, out.Seq+uint64(messages)
	before := usedBytes(t, dir)
	begin := time.Now()
	readAll(ctx, t, addr, online, first, last, func() { postMany(ctx, t, s, group, messages, payload) })
	t.Logf("%d messages to %d who listened: %v", messages, len(online), time.Since(begin))
	more := usedBytes(t, dir) - before // the log grows by whole segments
	t.Logf("%d MB more on disk; one copy of each message is %d MB, one for each member %d MB", more>>20, messages*payload>>20, messages*payload*members>>20)
	if more > messages*payload*members/2 {
		t.Errorf("%d bytes on disk for %d of payload", more, messages*payload)
	}
	begin = time.Now()
	readAll(ctx, t, addr, offline, first, last, func() {})
	t.Logf("and to %d who came later: %v", len(offline), time.Since(begin))
}

// postMany posts messages, many a call, and several calls at a time.
func postMany(ctx context.Context, t *testing.T, s *client.Session, group string, messages, payload int) {
	t.Helper()
	text := append(applicationHeader(group, 1), make([]byte, payload)...)
	for done := 0; done < messages; {
		batch := make([]client.GroupPost, min(64, messages-done))
		for i := range batch {
			batch[i] = client.GroupPost{Group: group, Payload: text}
			rand.Read(batch[i].ID[:])
		}
		out, err := s.Post(ctx, batch)
		if err != nil {
			t.Fatal(err)
		}
		for i := range out {
			if out[i].Status != schemas.EnqueueStatus_stored {
				t.Fatalf("message %d: %v", done+i, out[i])
			}
		}
		done += len(batch)
	}
}

// usedBytes is what the files of a directory take on disk.
func usedBytes(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it went away meanwhile
		}
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if st, ok := info.Sys().(*syscall.Stat_t); err == nil && ok {
			n += int(st.Blocks) * 512
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
