package client

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
)

// Upload is content on its way to a server, encrypted for whoever gets Ref. Not safe for concurrent use.
type Upload struct {
	ref    BlobRef
	src    io.ReaderAt
	cipher *blobCipher
	sums   [][32]byte // of the encrypted parts
}

// NewUpload reads length bytes of src once, to learn the hash by which the blob will be known; src must stay as it is until the upload is done. Errors: ErrTooLarge, those of src.
func NewUpload(src io.ReaderAt, length int64) (*Upload, error) {
	var ref BlobRef
	_, _ = rand.Read(ref.Key[:]) // never fails, see crypto/rand
	return newUpload(ref, src, length)
}

// ResumeUpload is NewUpload for what an earlier one, with this ref, did not finish. Content that has changed since is ErrBlob: it must not be encrypted with the same key.
func ResumeUpload(ref BlobRef, src io.ReaderAt, length int64) (*Upload, error) {
	u, err := newUpload(BlobRef{Key: ref.Key}, src, length)
	if err == nil && u.ref != ref {
		return nil, fmt.Errorf("%w: the content has changed since the upload began", ErrBlob)
	}
	return u, err
}

func newUpload(ref BlobRef, src io.ReaderAt, length int64) (*Upload, error) {
	if length < 0 || length > MaxBlob {
		return nil, fmt.Errorf("%w: blob of %d bytes, at most %d allowed", ErrTooLarge, length, MaxBlob)
	}
	ref.Size = blobSize(length)
	c, err := ref.cipher()
	if err != nil {
		return nil, err
	}
	u := &Upload{ref: ref, src: src, cipher: c, sums: make([][32]byte, ref.chunks())}
	all, buf := sha256.New(), make([]byte, blobChunk)
	for i := range u.sums {
		chunk, err := u.chunk(i, buf)
		if err != nil {
			return nil, err
		}
		all.Write(chunk)
		u.sums[i] = sha256.Sum256(chunk)
	}
	u.ref.Hash = [32]byte(all.Sum(nil))
	return u, nil
}

// Ref is what others need to fetch the blob. It may be sent once UploadBlob has returned.
func (u *Upload) Ref() BlobRef { return u.ref }

// chunk reads and encrypts one part, in buf.
func (u *Upload) chunk(i int, buf []byte) ([]byte, error) {
	part := buf[:u.ref.chunk(i)-blobTag]
	if n, err := u.src.ReadAt(part, int64(i)*blobPart); n < len(part) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return u.cipher.seal(i, part), nil
}

// UploadBlob brings u to the server, from where an earlier attempt ended; after a failure, call it again. It uses a stream of its own, so that messages go past it. Errors
// besides the call's: ErrBlob (the content has changed), ErrProtocol.
func (s *Session) UploadBlob(ctx context.Context, u *Upload) error {
	b, err := s.bulk(ctx)
	if err != nil {
		return err
	}
	defer b.rpc.Close()
	have, complete, err := b.put(ctx, &u.ref, 0, nil)
	buf := make([]byte, blobChunk)
	for err == nil && !complete {
		var chunk []byte
		i := int(have / blobChunk)
		if chunk, err = u.chunk(i, buf); err != nil {
			return err
		}
		if sha256.Sum256(chunk) != u.sums[i] {
			return fmt.Errorf("%w: the content has changed since the upload began", ErrBlob)
		}
		before := have
		if have, complete, err = b.put(ctx, &u.ref, before, chunk); err == nil && have <= before {
			return protocolErrorf("putBlob: %d bytes there after %d", have, before)
		}
	}
	return err
}

// Download is a blob on its way from a server. Not safe for concurrent use.
type Download struct {
	ref    BlobRef
	cipher *blobCipher
	sum    hash.Hash // of the chunks before next
	next   int
}

// NewDownload begins a download. Errors: ErrBlob.
func NewDownload(ref BlobRef) (*Download, error) {
	if err := ref.check(); err != nil {
		return nil, err
	}
	c, err := ref.cipher()
	if err != nil {
		return nil, err
	}
	return &Download{ref: ref, cipher: c, sum: sha256.New()}, nil
}

// ResumeDownload is NewDownload for one of which an earlier process wrote the beginning, which have reads.
func ResumeDownload(ref BlobRef, have io.Reader) (*Download, error) {
	d, err := NewDownload(ref)
	if err != nil {
		return nil, err
	}
	buf := make([]byte, blobChunk)
	for d.next < ref.chunks()-1 { // the last is fetched again, for the hash to be checked
		_, err := io.ReadFull(have, buf[:blobPart])
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		d.sum.Write(d.cipher.seal(d.next, buf[:blobPart]))
		d.next++
	}
	return d, nil
}

// Written is how much of the content has been written.
func (d *Download) Written() int64 { return min(int64(d.next)*blobPart, d.ref.Length()) }

// DownloadBlob writes to dst what is still missing of d; after a failure, call it again. Only what is as it was uploaded is written, in order, and the last part only if the whole is. Errors besides the
// call's and dst's: ErrBlob.
func (s *Session) DownloadBlob(ctx context.Context, d *Download, dst io.WriterAt) error {
	b, err := s.bulk(ctx)
	if err != nil {
		return err
	}
	defer b.rpc.Close()
	for d.next < d.ref.chunks() {
		chunk, err := b.get(ctx, &d.ref, d.next)
		if err == nil {
			err = d.add(chunk, dst)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// add takes the next chunk, which it overwrites. One that is refused leaves no trace.
func (d *Download) add(chunk []byte, dst io.WriterAt) error {
	sum, err := d.sum.(hash.Cloner).Clone()
	if err != nil {
		return err
	}
	sum.Write(chunk)
	if d.next == d.ref.chunks()-1 && [32]byte(sum.Sum(nil)) != d.ref.Hash {
		return fmt.Errorf("%w: another hash", ErrBlob)
	}
	content, err := d.cipher.open(d.next, chunk)
	if err != nil {
		return err
	}
	if _, err := dst.WriteAt(content, int64(d.next)*blobPart); err != nil {
		return err
	}
	d.sum = sum
	d.next++
	return nil
}

// bulkStream is a stream to the delivery service beside the session's own.
type bulkStream struct {
	rpc *quicrpc.RPC
	ds  schemas.DeliveryService
}

func (s *Session) bulk(ctx context.Context) (*bulkStream, error) {
	r, err := s.conn.Bootstrap(ctx, quicrpc.StreamDS)
	if err != nil {
		return nil, err
	}
	return &bulkStream{r, schemas.DeliveryService(r.Client())}, nil
}

func (b *bulkStream) put(ctx context.Context, ref *BlobRef, offset uint64, data []byte) (have uint64, complete bool, err error) {
	f, release := b.ds.PutBlob(ctx, func(p schemas.DeliveryService_putBlob_Params) error {
		p.SetSize(ref.Size)
		p.SetOffset(offset)
		return errors.Join(p.SetHash(ref.Hash[:]), p.SetData(data))
	})
	defer release()
	res, err := f.Struct()
	if err != nil {
		return 0, false, b.rpc.Err(err)
	}
	have, complete = res.Have(), res.Complete()
	if !complete && (have%blobChunk != 0 || have >= ref.Size) || complete && have != ref.Size {
		return 0, false, protocolErrorf("putBlob: %d of %d bytes there, complete %v", have, ref.Size, complete)
	}
	return have, complete, nil
}

// get fetches a whole chunk.
func (b *bulkStream) get(ctx context.Context, ref *BlobRef, i int) ([]byte, error) {
	f, release := b.ds.GetBlob(ctx, func(p schemas.DeliveryService_getBlob_Params) error {
		p.SetOffset(uint64(i) * blobChunk)
		return p.SetHash(ref.Hash[:])
	})
	defer release()
	res, err := f.Struct()
	if err != nil {
		return nil, b.rpc.Err(err)
	}
	data, err := res.Data()
	if err != nil || len(data) != ref.chunk(i) || res.Size() != ref.Size {
		return nil, protocolErrorf("getBlob: %d bytes of a blob of %d, want %d of %d: %v", len(data), res.Size(), ref.chunk(i), ref.Size, err)
	}
	return append([]byte(nil), data...), nil
}
