package integration

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"quicnprotochat/certs"
	"quicnprotochat/client"
	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
)

// breakingReader closes a session when what begins at its place is read.
type breakingReader struct {
	io.ReaderAt
	at int64
	s  *client.Session
}

func (b *breakingReader) ReadAt(p []byte, off int64) (int, error) {
	if b.s != nil && off >= b.at {
		b.s.Close()
	}
	return b.ReaderAt.ReadAt(p, off)
}

// breakingWriter does the same when something is written there.
type breakingWriter struct {
	io.WriterAt
	at int64
	s  *client.Session
}

func (b *breakingWriter) WriteAt(p []byte, off int64) (int, error) {
	if b.s != nil && off >= b.at {
		b.s.Close()
	}
	return b.WriterAt.WriteAt(p, off)
}

// TestBlobResumes: an upload and a download whose connections break go on where they were, and the content comes back whole; messages of the same people keep their order meanwhile.
func TestBlobResumes(t *testing.T) {
	const length, part = 5<<20 + 3, 256<<10 - 16
	const chunks = length/part + 1
	d := startInProcess(t)
	addr := d.Addr().String()
	alice, bob := newPerson(t), newPerson(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	data := make([]byte, length)
	rand.NewChaCha8([32]byte{1}).Read(data)

	from := dial(t, addr, alice)
	src := &breakingReader{ReaderAt: bytes.NewReader(data), at: 7 * part}
	u, err := client.NewUpload(src, length)
	if err != nil {
		t.Fatal(err)
	}
	src.s = from
	if err := from.UploadBlob(ctx, u); err == nil {
		t.Fatal("the upload went on without a connection")
	}
	src.s = nil
	from = dial(t, addr, alice)
	message := client.Submission{ID: client.MessageID{1}, Payload: []byte("see blob"), Recipients: []certs.Identity{bob.id}, Blobs: [][32]byte{u.Ref().Hash}}
	if out, err := from.Submit(ctx, []client.Submission{message}); err != nil || out[0][0].Status != schemas.EnqueueStatus_noBlob {
		t.Errorf("a message before its blob: %v %v", out, err)
	}
	uploaded := make(chan error, 1)
	go func() { uploaded <- from.UploadBlob(ctx, u) }()
	for i := range 20 {
		small := client.Submission{ID: client.MessageID{2, byte(i)}, Payload: []byte{byte(i)}, Recipients: []certs.Identity{bob.id}}
		if _, err := from.Submit(ctx, []client.Submission{small}); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-uploaded; err != nil {
		t.Fatal(err)
	}
	if calls := d.Calls()["putBlob"]; calls > chunks+3 { // two that ask, and one chunk whose call or answer broke off
		t.Errorf("%d calls for %d chunks: it began again", calls, chunks)
	}
	if out, err := from.Submit(ctx, []client.Submission{message}); err != nil || out[0][0].Status != schemas.EnqueueStatus_stored {
		t.Errorf("a message after its blob: %v %v", out, err)
	}

	to := dial(t, addr, bob)
	got, _, err := to.FetchAfter(ctx, client.Cursor{})
	if err != nil || len(got) != 21 || string(got[20].Payload) != "see blob" {
		t.Fatalf("%d messages, %v", len(got), err)
	}
	for i := range 20 {
		if got[i].Payload[0] != byte(i) {
			t.Errorf("message %d came as number %d", got[i].Payload[0], i)
		}
	}
	download(t, ctx, addr, bob, u.Ref(), data)
	if calls := d.Calls()["getBlob"]; calls > chunks+1 {
		t.Errorf("%d calls for %d chunks: it began again", calls, chunks)
	}
}

// download fetches a blob over two connections, and compares it.
func download(t *testing.T, ctx context.Context, addr string, as *person, ref client.BlobRef, want []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "content")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	down, err := client.NewDownload(ref)
	if err != nil {
		t.Fatal(err)
	}
	s := dial(t, addr, as)
	if err := s.DownloadBlob(ctx, down, &breakingWriter{file, down.Written() + int64(len(want))/2, s}); err == nil {
		t.Fatal("the download went on without a connection")
	}
	if err := dial(t, addr, as).DownloadBlob(ctx, down, file); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) || down.Written() != int64(len(want)) {
		t.Errorf("%d bytes came back, %v; want %d", len(got), err, len(want))
	}
}

// TestBlobOutlivesRestart: what came of an upload before the daemon was started anew needs not be sent again.
func TestBlobOutlivesRestart(t *testing.T) {
	const length, part = 1 << 20, 256<<10 - 16
	dir, alice := t.TempDir(), newPerson(t)
	data := make([]byte, length)
	rand.NewChaCha8([32]byte{2}).Read(data)
	src := &breakingReader{ReaderAt: bytes.NewReader(data), at: 3 * part}
	u, err := client.NewUpload(src, length)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("before", func(t *testing.T) {
		d := startInProcessAt(t, dir)
		src.s = dial(t, d.Addr().String(), alice)
		if err := src.s.UploadBlob(t.Context(), u); err == nil {
			t.Fatal("the upload went on without a connection")
		}
	})
	d := startInProcessAt(t, dir)
	u, err = client.ResumeUpload(u.Ref(), bytes.NewReader(data), length)
	if err != nil {
		t.Fatal(err)
	}
	s := dial(t, d.Addr().String(), alice)
	if err := s.UploadBlob(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if calls := d.Calls()["putBlob"]; calls != 3 { // one that asks, and two chunks
		t.Errorf("%d calls after the restart, want 3", calls)
	}
	download(t, t.Context(), d.Addr().String(), newPerson(t), u.Ref(), data)
	unknown := u.Ref()
	unknown.Hash[0]++
	down, err := client.NewDownload(unknown)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DownloadBlob(t.Context(), down, new(os.File)); !errors.Is(err, quicrpc.ErrNotFound) {
		t.Errorf("an unknown blob: %v", err)
	}
}
