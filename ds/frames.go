package ds

import (
	"sync"
	"time"

	"quicnprotochat/store"
)

// frames keeps the frames of groups that were made last, so that one that goes to a thousand members is read and encoded once. Safe for concurrent use.
type frames struct {
	room int // bytes that may be kept

	mu   sync.Mutex
	at   map[frameKey]*sharedFrame
	line []*sharedFrame // the oldest first
	size int
}

// frameKey is where in a group's order a frame begins.
type frameKey struct {
	group string
	first uint64
}

// sharedFrame is an encoded frame, and what is in it. Nobody changes it.
type sharedFrame struct {
	key      frameKey
	messages []sentMessage
	payload  int // bytes, of all messages
	encoded  []byte

	id       store.MessageID // of the first message
	accepted time.Time

	made time.Time
}

// framesAge is how long a frame may be used: what is in it expires meanwhile, and is not to be pushed then. Members who are there take it at once.
const framesAge = 2 * time.Second

// framesRoom is a few hundred frames of a busy group.
const framesRoom = 8 << 20

func newFrames(room int) *frames { return &frames{room: room, at: make(map[frameKey]*sharedFrame)} }

// find returns the frame that begins at k, or nil.
func (f *frames) find(k frameKey) *sharedFrame {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at[k]
}

// keep keeps a frame in place of one that begins at the same message, and drops the oldest when there is no room.
func (f *frames) keep(s *sharedFrame) {
	if len(s.encoded) > f.room {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at[s.key] = s
	f.line = append(f.line, s)
	f.size += len(s.encoded)
	for f.size > f.room {
		old := f.line[0]
		f.line[0] = nil
		f.line = f.line[1:]
		f.size -= len(old.encoded)
		if f.at[old.key] == old {
			delete(f.at, old.key)
		}
	}
}

// newSharedFrame encodes messages of a group, whose payloads sum up to size bytes.
func newSharedFrame(group string, messages []store.Delivery, size int) (*sharedFrame, error) {
	m, err := deliverFrame(messages, size)
	if err != nil {
		return nil, err
	}
	encoded, err := m.Marshal()
	if err != nil {
		return nil, err
	}
	first := &messages[0]
	return &sharedFrame{
		key: frameKey{group, first.Seq}, messages: sentOf(messages), payload: size, encoded: encoded, id: first.ID, accepted: first.AcceptedAt,
		made: time.Now(),
	}, nil
}

func (s *sharedFrame) last() uint64 { return s.messages[len(s.messages)-1].seq }

// shows says whether a reader may have this frame, going by a page that begins where the frame does: it sees the group at least up to the frame's end, and it is
// the same group, not a later one of that name, and the frame is not old.
func (s *sharedFrame) shows(page *store.Page) bool {
	if len(page.Messages) == 0 || page.Last < s.last() || time.Since(s.made) > framesAge {
		return false
	}
	m := &page.Messages[0]
	return m.Seq == s.key.first && m.ID == s.id && m.AcceptedAt.Equal(s.accepted)
}

func sentOf(messages []store.Delivery) []sentMessage {
	out := make([]sentMessage, len(messages))
	for i := range messages {
		out[i] = sentMessage{messages[i].Seq, uint32(len(messages[i].Payload))}
	}
	return out
}
