package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"

	"quicnprotochat/certs"
	"quicnprotochat/client"
	"quicnprotochat/schemas"
)

// ours is quicnprotochatd. A topic with one recipient is that recipient's inbox; one with more is a group.
type ours struct{}

func (ours) name() string      { return "quicnprotochatd" }
func (ours) guarantee() string { return "written and synced" }

func (ours) start(ctx context.Context, dir string, cfg *config) (broker, error) {
	if _, err := exec.LookPath(cfg.daemon); err != nil {
		return nil, fmt.Errorf("the daemon: %w: %w: make build makes it", errMissing, err)
	}
	p, line, err := launch(ctx, exec.Command(cfg.daemon, "--listen", "127.0.0.1:0", "--data-dir", dir), func(line string) string {
		_, rest, _ := strings.Cut(line, "msg=listening addr=")
		return rest
	})
	if err != nil {
		return nil, err
	}
	addr, rest, _ := strings.Cut(line, " ")
	text, _, _ := strings.Cut(strings.TrimPrefix(rest, "pin="), " ")
	pin, err := certs.ParsePin(text)
	if err == nil {
		_, _, err = net.SplitHostPort(addr)
	}
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	listening, hangUp := context.WithCancel(context.Background())
	return &ourBroker{process: p, addr: addr, pin: pin, group: cfg.scenario == fanout, members: make(map[int][]certs.Identity), listening: listening, hangUp: hangUp}, nil
}

type ourBroker struct {
	*process
	addr  string
	pin   certs.Pin
	group bool

	listening context.Context
	hangUp    context.CancelFunc

	mu       sync.Mutex
	sessions []*client.Session
	members  map[int][]certs.Identity // of each topic
}

func (b *ourBroker) dial(ctx context.Context) (*client.Session, certs.Identity, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, certs.Identity{}, err
	}
	s, err := client.Dial(ctx, client.Config{Addr: b.addr, Key: key, Trust: certs.Trust{Pin: &b.pin}})
	if err != nil {
		return nil, certs.Identity{}, err
	}
	b.mu.Lock()
	b.sessions = append(b.sessions, s)
	b.mu.Unlock()
	return s, certs.IdentityOf(key), nil
}

func (b *ourBroker) subscribe(ctx context.Context, topic, _ int, deliver func([]byte), fail func(error)) error {
	s, id, err := b.dial(ctx)
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.members[topic] = append(b.members[topic], id)
	b.mu.Unlock()
	name := groupName(topic)
	handle := func(_ context.Context, q client.Queue, batch []client.Envelope) error {
		if q.Shared != b.group {
			return nil // the Welcome, in the inbox
		}
		for i := range batch {
			body := batch[i].Payload
			if b.group {
				kind, rest, ok := unframe(body, name)
				if !ok {
					return fmt.Errorf("%w: no message of ours in the group's queue", errViolation)
				}
				if kind != contentApplication {
					continue
				}
				body = rest
			}
			deliver(body)
		}
		return nil
	}
	started, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		err := s.Listen(b.listening, client.ListenOptions{Started: func() { close(started) }}, handle)
		ended <- err
		fail(err)
	}()
	select {
	case <-started:
		return nil
	case err := <-ended:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (b *ourBroker) publisher(ctx context.Context, topic int, acked func(int), fail func(error)) (publisher, error) {
	s, _, err := b.dial(ctx)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	to := b.members[topic]
	b.mu.Unlock()
	send := toInbox(s, to)
	if b.group {
		if err := found(ctx, s, groupName(topic), to); err != nil {
			return nil, err
		}
		send = toGroup(s, groupName(topic))
	}
	p := &ourPublisher{batches: make(chan [][]byte, maxWindow)}
	sent := make(chan call, underWay)
	go func() {
		if err := p.send(b.listening, send, sent); err != nil {
			fail(err)
		}
	}()
	go func() {
		for {
			select {
			case c := <-sent:
				if err := c.wait(); err != nil {
					fail(err)
					return
				}
				acked(c.n)
			case <-b.listening.Done():
				return
			}
		}
	}()
	return p, nil
}

// underWay is how many calls a sender has under way.
const underWay = 16

// call is one that is under way, with n messages.
type call struct {
	n    int
	wait func() error
}

// What one call may hold (docs/protocol.md): messages, and bytes, of which a half is used.
const (
	callMessages = 1024
	callBytes    = 512 << 10
)

// fitting is how many messages go into one call, at least one.
func fitting(batch [][]byte) int {
	n, size := 0, 0
	for n < min(len(batch), callMessages) && (n == 0 || size+len(batch[n]) <= callBytes) {
		size += len(batch[n])
		n++
	}
	return n
}

// found makes a group, whose first epoch has all members.
func found(ctx context.Context, s *client.Session, group string, members []certs.Identity) error {
	if err := s.CreateGroup(ctx, group, 0, nil); err != nil {
		return err
	}
	out, err := s.CommitGroup(ctx, &client.GroupCommit{Group: group, ID: newID(), Message: frame(group, 0, contentCommit), Added: members})
	if err == nil && out.Status != schemas.CommitStatus_accepted {
		err = fmt.Errorf("the commit that adds the members: %v", out.Status)
	}
	return err
}

// An ourPublisher sends what it is given at once, and has the answers waited for elsewhere.
type ourPublisher struct{ batches chan [][]byte }

func (p *ourPublisher) publish(batch [][]byte) error {
	p.batches <- batch
	return nil
}

// send sends until ctx ends.
func (p *ourPublisher) send(ctx context.Context, start starter, sent chan<- call) error {
	for {
		var batch [][]byte
		select {
		case batch = <-p.batches:
		case <-ctx.Done():
			return nil
		}
		for len(batch) > 0 {
			n := fitting(batch)
			wait, err := start(ctx, batch[:n])
			if err != nil {
				return err
			}
			select {
			case sent <- call{n, wait}:
			case <-ctx.Done():
				return nil
			}
			batch = batch[n:]
		}
	}
}

// starter sends messages and returns what waits for their answer.
type starter func(context.Context, [][]byte) (wait func() error, err error)

func toInbox(s *client.Session, to []certs.Identity) starter {
	return func(ctx context.Context, batch [][]byte) (func() error, error) {
		subs := make([]client.Submission, len(batch))
		for i := range batch {
			subs[i] = client.Submission{ID: newID(), Payload: batch[i], Recipients: to}
		}
		wait, err := s.StartSubmit(ctx, subs)
		if err != nil {
			return nil, err
		}
		return func() error {
			out, err := wait()
			for i := range out {
				if st := out[i][0].Status; st != schemas.EnqueueStatus_stored {
					return fmt.Errorf("a message was not stored: %v", st)
				}
			}
			return err
		}, nil
	}
}

func toGroup(s *client.Session, group string) starter {
	head := frame(group, 1, contentApplication)
	var read uint64
	return func(ctx context.Context, batch [][]byte) (func() error, error) {
		posts := make([]client.GroupPost, len(batch))
		for i := range batch {
			posts[i] = client.GroupPost{Group: group, ID: newID(), Payload: append(head[:len(head):len(head)], batch[i]...)}
		}
		wait, err := s.StartPost(ctx, posts)
		if err != nil {
			return nil, err
		}
		return func() error {
			out, err := wait()
			for i := range out {
				if st := out[i].Status; st != schemas.EnqueueStatus_stored {
					return fmt.Errorf("a message was not stored: %v", st)
				}
			}
			if err != nil {
				return err
			}
			// The sender is a member too: until it has acknowledged a message, nobody has acknowledged it for good.
			if last := out[len(out)-1].Seq; last >= read+readEvery {
				read = last
				return s.Acknowledge(ctx, []client.Cursor{{Queue: client.Queue{Group: group, Shared: true}, Seq: last}})
			}
			return nil
		}, nil
	}
}

// readEvery is how many messages of the group the sender acknowledges at once.
const readEvery = 1000

func newID() (id client.MessageID) {
	_, _ = rand.Read(id[:])
	return id
}

// Content types of a PrivateMessage (RFC 9420 section 6).
const (
	contentApplication = 1
	contentCommit      = 3
)

func groupName(topic int) string { return fmt.Sprintf("compare %08d", topic) }

// frame returns what the service reads of a PrivateMessage to a group; opaque payloads begin with it.
func frame(group string, epoch uint64, content byte) []byte {
	b := append([]byte{0, 1, 0, 2, byte(len(group))}, group...)
	return append(binary.BigEndian.AppendUint64(b, epoch), content)
}

// unframe returns the content type and what follows.
func unframe(b []byte, group string) (content byte, rest []byte, ok bool) {
	n := 5 + len(group) + 9
	if len(b) < n {
		return 0, nil, false
	}
	return b[n-1], b[n:], true
}

func (b *ourBroker) stop() error {
	b.hangUp()
	b.mu.Lock()
	for _, s := range b.sessions {
		_ = s.Close()
	}
	b.mu.Unlock()
	return b.process.stop()
}
