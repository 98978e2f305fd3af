package client

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"testing"
)

// memoryFile is an io.WriterAt that grows.
type memoryFile []byte

func (f *memoryFile) WriteAt(p []byte, off int64) (int, error) {
	if need := int(off) + len(p); need > len(*f) {
		*f = append(*f, make([]byte, need-len(*f))...)
	}
	return copy((*f)[off:], p), nil
}

func blobContent(n int) []byte { return bytes.Repeat([]byte("content"), n/7+1)[:n] }

// encrypted returns all chunks of an upload.
func encrypted(t *testing.T, u *Upload) (chunks [][]byte) {
	t.Helper()
	for i := range u.sums {
		chunk, err := u.chunk(i, make([]byte, blobChunk))
		if err != nil {
			t.Fatal(err)
		}
		chunks = append(chunks, chunk)
	}
	return chunks
}

func newTestUpload(t *testing.T, n int) *Upload {
	t.Helper()
	u, err := NewUpload(bytes.NewReader(blobContent(n)), int64(n))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func feed(ref BlobRef, chunks [][]byte) (memoryFile, error) {
	d, err := NewDownload(ref)
	if err != nil {
		return nil, err
	}
	file := memoryFile{}
	for _, chunk := range chunks {
		if err := d.add(bytes.Clone(chunk), &file); err != nil {
			return file, err
		}
	}
	if d.next != ref.chunks() {
		return file, io.ErrUnexpectedEOF
	}
	return file, nil
}

// TestBlobCipher: content of every awkward length comes back, and the blob is as its reference says.
func TestBlobCipher(t *testing.T) {
	for _, n := range []int{0, 1, blobPart - 1, blobPart, blobPart + 1, 2 * blobPart, 2*blobPart + 7} {
		u := newTestUpload(t, n)
		chunks := encrypted(t, u)
		ref, all := u.Ref(), slices.Concat(chunks...)
		if sha256.Sum256(all) != ref.Hash || uint64(len(all)) != ref.Size || ref.Length() != int64(n) {
			t.Errorf("%d: blob of %d bytes, reference %d for %d", n, len(all), ref.Size, ref.Length())
		}
		for i, chunk := range chunks[:len(chunks)-1] {
			if len(chunk) != blobChunk {
				t.Errorf("%d: chunk %d has %d bytes", n, i, len(chunk))
			}
		}
		got, err := feed(ref, chunks)
		if err != nil || !bytes.Equal(got, blobContent(n)) {
			t.Errorf("%d: %d bytes came back, %v", n, len(got), err)
		}
		text, err := ref.MarshalBinary()
		if err != nil || len(text) != BlobRefSize {
			t.Fatalf("%d bytes, %v", len(text), err)
		}
		var again BlobRef
		if err := again.UnmarshalBinary(text); err != nil || again != ref {
			t.Errorf("%d: reference comes back as %v, %v", n, again, err)
		}
		if bytes.Contains(all, []byte("contentcontent")) {
			t.Error("it is not encrypted")
		}
	}
	if _, err := NewUpload(bytes.NewReader(nil), MaxBlob+1); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too long: %v", err)
	}
	if size := blobSize(MaxBlob); size != maxBlob {
		t.Errorf("the longest content makes %d bytes, want %d", size, maxBlob)
	}
	if _, err := NewUpload(bytes.NewReader(make([]byte, 9)), 10); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("short content: %v", err)
	}
}

// TestBlobForged: a server that changes, exchanges, or cuts off parts is found out, also if it could choose the hash.
func TestBlobForged(t *testing.T) {
	u := newTestUpload(t, 3*blobPart)
	chunks := encrypted(t, u)
	other := encrypted(t, newTestUpload(t, 3*blobPart))
	flipped := bytes.Clone(chunks[1])
	flipped[9] ^= 1
	for name, forged := range map[string][][]byte{
		"flipped":   {chunks[0], flipped, chunks[2]},
		"exchanged": {chunks[1], chunks[0], chunks[2]},
		"repeated":  {chunks[0], chunks[0], chunks[2]},
		"cut":       {chunks[0], chunks[1]},
		"longer":    {chunks[0], chunks[1], chunks[2], chunks[2]},
		"another's": {chunks[0], other[1], chunks[2]},
		"short":     {chunks[0], chunks[1][:100], chunks[2]},
		"tiny":      {chunks[0], nil, chunks[2]},
	} {
		all := slices.Concat(forged...)
		ref := u.Ref()
		if name == "longer" {
			ref.Size = uint64(len(all))
		}
		if name == "cut" {
			ref.Size = uint64(len(all))
		}
		ref.Hash = sha256.Sum256(all)
		got, err := feed(ref, forged)
		if !errors.Is(err, ErrBlob) {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.HasPrefix(blobContent(3*blobPart), got) {
			t.Errorf("%s: something else was written", name)
		}
	}
	ref := u.Ref()
	ref.Hash[0]++
	if got, err := feed(ref, chunks); !errors.Is(err, ErrBlob) || len(got) > 2*blobPart {
		t.Errorf("another hash: %v, %d bytes written", err, len(got))
	}
}

// TestBlobRefRefused: a reference that no upload made.
func TestBlobRefRefused(t *testing.T) {
	for _, size := range []uint64{0, 1, blobTag - 1, blobChunk + 1, blobChunk + blobTag, maxBlob + 1, 10 << 30, 1<<64 - 1} {
		text, err := BlobRef{Size: size}.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if err := new(BlobRef).UnmarshalBinary(text); !errors.Is(err, ErrBlob) {
			t.Errorf("size %d: %v", size, err)
		}
		if _, err := NewDownload(BlobRef{Size: size}); !errors.Is(err, ErrBlob) {
			t.Errorf("download of size %d: %v", size, err)
		}
	}
	if err := new(BlobRef).UnmarshalBinary(make([]byte, BlobRefSize-1)); !errors.Is(err, ErrBlob) {
		t.Errorf("short: %v", err)
	}
}

// TestBlobResume: an upload and a download go on where another process left them; content that has changed is not encrypted with the same key.
func TestBlobResume(t *testing.T) {
	const n = 3*blobPart + 5
	u := newTestUpload(t, n)
	again, err := ResumeUpload(u.Ref(), bytes.NewReader(blobContent(n)), n)
	if err != nil {
		t.Fatal(err)
	}
	chunks := encrypted(t, again)
	changed := blobContent(n)
	changed[0]++
	if _, err := ResumeUpload(u.Ref(), bytes.NewReader(changed), n); !errors.Is(err, ErrBlob) {
		t.Errorf("changed: %v", err)
	}
	if _, err := ResumeUpload(u.Ref(), bytes.NewReader(changed), n-1); !errors.Is(err, ErrBlob) {
		t.Errorf("shorter: %v", err)
	}
	for _, have := range []int{0, 5, blobPart, 2*blobPart + 1, n} {
		file := memoryFile(blobContent(n)[:have])
		d, err := ResumeDownload(u.Ref(), bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		if want := int64(min(have/blobPart, 3) * blobPart); d.Written() != want {
			t.Errorf("%d bytes there: goes on at %d, want %d", have, d.Written(), want)
		}
		for _, chunk := range chunks[d.next:] {
			if err := d.add(bytes.Clone(chunk), &file); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(file, blobContent(n)) || d.Written() != n {
			t.Errorf("%d bytes there: other content", have)
		}
	}
	d, err := ResumeDownload(u.Ref(), bytes.NewReader(changed))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.add(bytes.Clone(chunks[3]), new(memoryFile)); !errors.Is(err, ErrBlob) {
		t.Errorf("what was there has changed: %v", err)
	}
}
