package ds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"capnproto.org/go/capnp/v3"

	"quicnprotochat/quicrpc"
	"quicnprotochat/schemas"
	"quicnprotochat/store"
	"quicnprotochat/store/memory"
)

// enqueued is enqueueMany, its outcomes one after the other.
func (k *caller) enqueued(submissions []submission) (out []outcomeOf, err error) {
	results, err := k.submit(submissions...)
	for _, row := range results {
		for _, r := range row {
			out = append(out, outcomeOf{schemas.EnqueueStatus(r.Status), r.Seq, 0})
		}
	}
	return out, err
}

// posted is post of several.
func (k *caller) posted(posts []posting) (out []outcomeOf, err error) {
	f, release := k.ds.Post(context.Background(), func(p schemas.DeliveryService_post_Params) error { return fillPosts(p.NewPosts, posts) })
	defer release()
	r, err := f.Struct()
	if err != nil {
		return nil, quicrpc.FromRPC(err)
	}
	list, err := r.Results()
	for i := range list.Len() {
		out = append(out, outcomeOf{list.At(i).Status(), list.At(i).Seq(), list.At(i).Epoch()})
	}
	return out, err
}

// TestSubmitAsCalls: frames have the results and the errors that enqueueMany and post have for the same, in a history with every argument that is refused.
func TestSubmitAsCalls(t *testing.T) {
	limits := Limits{MaxPayload: 100, MaxBatch: 6, MaxRecipients: 7, MaxStoredBytes: 300, SenderMessages: 12}
	quota := memory.Options{Quota: store.Quota{Messages: 20}}
	byCall, byFrame := startOn(memory.New(quota), limits), startOn(memory.New(quota), limits)
	defer byCall.Close()
	defer byFrame.Close()
	for _, f := range []*fixture{byCall, byFrame} {
		founder := f.caller(t, 1)
		founder.want(founder.create(testGroup, 0, nil), nil)
		founder.mustCommit(change{group: testGroup, id: 200, added: []byte{2}}, 1)
	}
	k := byCall.caller(t, 2)
	stream, over := byFrame.submitting(newConn(2))
	compare := func(name string, want []outcomeOf, wantErr error) {
		t.Helper()
		got, err := stream.answer(t)
		if fmt.Sprint(got) != fmt.Sprint(want) || fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Errorf("%s: by frame %v, %v; by call %v, %v", name, got, err, want, wantErr)
		}
	}
	failed, statuses := 0, map[schemas.EnqueueStatus]int{}
	count := func(out []outcomeOf, err error) {
		if err != nil {
			failed++
		}
		for _, o := range out {
			statuses[o.status]++
		}
	}
	for i, c := range manySubmissions() {
		stream.submit(t, c...)
		want, err := k.enqueued(c)
		compare(fmt.Sprint("submissions ", i), want, err)
		count(want, err)
	}
	for i, c := range manyPosts() {
		stream.post(t, c...)
		want, err := k.posted(c)
		compare(fmt.Sprint("posts ", i), want, err)
		count(want, err)
	}
	if failed < 20 || len(statuses) < 5 {
		t.Errorf("%d calls failed, the others had %v", failed, statuses)
	}
	close(stream.frames)
	stream.wantOver(t, over)
	if _, err := stream.answer(t); err != io.EOF || !stream.fin {
		t.Errorf("after the last answer: %v", err)
	}
	groups := []string{testGroup}
	if a, b := byCall.picture(t, groups, 1, 2, 3, 4), byFrame.picture(t, groups, 1, 2, 3, 4); a != b {
		t.Errorf("frames left\n%s, calls\n%s", b, a)
	}
	if n := byFrame.Calls()["submit"]; int(n) != len(manySubmissions())+len(manyPosts()) {
		t.Errorf("%d frames counted", n)
	}
}

func manySubmissions() (all [][]submission) {
	ok := submission{id16(1), []byte("g"), []byte("p"), [][]byte{key(3)}}
	with := func(change func(*submission)) {
		s := ok
		change(&s)
		all = append(all, []submission{ok, s})
	}
	all = append(all, []submission{}, []submission{ok}, []submission{ok, ok}, []submission{ok, ok, ok, ok, ok, ok, ok})
	with(func(s *submission) { s.id = s.id[:15] })
	with(func(s *submission) { s.id = nil })
	with(func(s *submission) { s.group = []byte(strings.Repeat("g", 65)) })
	with(func(s *submission) { s.payload = nil })
	with(func(s *submission) { s.payload = make([]byte, 101) })
	with(func(s *submission) { s.to = nil })
	with(func(s *submission) { s.to = [][]byte{key(1)[:31]} })
	with(func(s *submission) { s.to = [][]byte{key(1), key(3), key(1)} })
	with(func(s *submission) {
		s.to = [][]byte{key(1), key(2), key(3), key(4), key(5), key(6), key(7), key(8)}
	})
	with(func(s *submission) { s.payload = make([]byte, 100); s.to = [][]byte{key(1), key(3), key(4)} })
	with(func(s *submission) { s.id, s.to = id16(2), [][]byte{key(1), key(3), key(4)} })
	for n := range 30 { // the sender's part of a queue is full, then the queue
		all = append(all, []submission{{id16(100 + n), nil, []byte("p"), [][]byte{key(3), key(4)}}, {id16(100 + n/2), nil, []byte("p"), [][]byte{key(2)}}})
	}
	return all
}

func manyPosts() (all [][]posting) {
	app := func(group string, epoch uint64) []byte { return mlsHeader(privateMessage, group, epoch, application) }
	ok := posting{testGroup, id16(1), app(testGroup, 1)}
	with := func(change func(*posting)) {
		p := ok
		change(&p)
		all = append(all, []posting{ok, p})
	}
	other := "another group id"
	all = append(all, []posting{}, []posting{ok}, []posting{ok, ok}, []posting{ok, ok, ok, ok, ok, ok, ok})
	with(func(p *posting) { p.id = p.id[:15] })
	with(func(p *posting) { p.group = "" })
	with(func(p *posting) { p.group = strings.Repeat("g", 65) })
	with(func(p *posting) { p.payload = nil })
	with(func(p *posting) { p.payload = make([]byte, 101) })
	with(func(p *posting) { p.payload = []byte("no message") })
	with(func(p *posting) { p.payload = app(other, 1) })                                                    // the header lies
	with(func(p *posting) { p.payload = mlsHeader(privateMessage, testGroup, 1, commit) })                  // no post
	with(func(p *posting) { p.group, p.payload = other, app(other, 1) })                                    // no such group
	with(func(p *posting) { p.id, p.payload = id16(2), mlsHeader(privateMessage, testGroup, 0, proposal) }) // wrong epoch
	with(func(p *posting) { p.id, p.payload = id16(3), mlsHeader(privateMessage, testGroup, 1, proposal) })
	with(func(p *posting) { p.id, p.payload = id16(4), app(testGroup, 0) })
	with(func(p *posting) { p.id, p.payload = id16(5), app(testGroup, 9) })
	for n := range 12 {
		all = append(all, []posting{{testGroup, id16(100 + n), app(testGroup, 1)}, {testGroup, id16(100 + n/2), app(testGroup, 1)}})
	}
	return all
}

// TestSubmitBadFrame: what a frame is refused for does not touch those before and after it; what is no frame at all ends the stream.
func TestSubmitBadFrame(t *testing.T) {
	f := start(Limits{})
	defer f.Close()
	stream, over := f.submitting(newConn(2))
	ok := func(n int) submission { return submission{id16(n), nil, []byte("p"), [][]byte{key(3)}} }
	stream.submit(t, ok(1))
	stream.submit(t, submission{})
	stream.put(t, func(f schemas.SubmitFrame) error { capnp.Struct(f).SetUint16(0, 77); return nil })
	stream.submit(t, ok(2))
	stream.wantStored(t, 1, 1)
	for _, want := range []error{quicrpc.ErrInvalidArgument, quicrpc.ErrUnimplemented} {
		if _, err := stream.answer(t); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	stream.wantStored(t, 1, 2)
	stream.frames <- &capnp.Message{Arena: capnp.NewReadOnlySingleSegment([]byte{255, 255, 255, 255, 255, 255, 0, 0})}
	stream.wantOver(t, over)
	if stream.code != quicrpc.StreamErrProtocol || stream.fin {
		t.Errorf("ended with %v", stream.code)
	}
}

// TestSubmitEarly: nothing has an effect before the handshake is complete.
func TestSubmitEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(Limits{})
		defer f.Close()
		c := newConn(2)
		c.early = make(chan struct{})
		stream, over := f.submitting(c)
		for n := range 3 {
			stream.submit(t, submission{id16(n), nil, []byte("p"), [][]byte{key(3)}})
		}
		synctest.Wait()
		if n := f.store.Stats().Stored; n != 0 || len(stream.answers) != 0 {
			t.Fatalf("%d messages stored, %d answers", n, len(stream.answers))
		}
		close(c.early)
		for n := range 3 {
			stream.wantStored(t, 1, uint64(n)+1)
		}
		c.early = make(chan struct{}) // a connection that ends before it is complete
		stream.submit(t, submission{id16(9), nil, []byte("p"), [][]byte{key(3)}})
		synctest.Wait()
		c.cancel()
		stream.wantOver(t, over)
		if n := f.store.Stats().Stored; n != 3 {
			t.Errorf("%d messages stored", n)
		}
	})
}
