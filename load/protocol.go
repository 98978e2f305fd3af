package load

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// The processes of a run talk in JSON, a line each. The one that was called (the worker) begins:
//
//	worker  challenge   a nonce; not over pipes to an own child
//	caller  answer      HMAC-SHA256 of the nonce by the shared token, which so is never sent
//	worker  welcome
//	caller  clock       any number of times; the worker answers clock with its time
//	caller  run         what to do
//	worker  ready       when its clients are connected
//	caller  start       when the run begins
//	worker  sample      each interval
//	worker  stopped     when its senders have stopped: what was stored
//	caller  stored      what all have stored
//	worker  part        the end
//
// A caller whose run has ended before says abort, at any time after run; the worker then ends its own, and says part at once.
// A worker that cannot go on says failed; whoever closes the connection ends the run.
const (
	typeChallenge = "challenge"
	typeAnswer    = "answer"
	typeWelcome   = "welcome"
	typeClock     = "clock"
	typeRun       = "run"
	typeReady     = "ready"
	typeStart     = "start"
	typeSample    = "sample"
	typeStopped   = "stopped"
	typeStored    = "stored"
	typePart      = "part"
	typeAbort     = "abort"
	typeFailed    = "failed"
)

// workerProtocol changes when old and new workers do not understand each other.
const workerProtocol = 3

const (
	maxLine     = 64 << 20 // what was stored in 500,000 queues
	maxGreeting = 4 << 10  // before the caller has shown that it knows the token
)

// errProtocol says that the other process does not speak as it should.
var errProtocol = errors.New("worker protocol")

// dispatch is one line.
type dispatch struct {
	Type     string         `json:"type"`
	Protocol int            `json:"protocol,omitempty"`
	Nonce    []byte         `json:"nonce,omitempty"`
	MAC      []byte         `json:"mac,omitempty"`
	At       int64          `json:"at,omitempty"` // nanoseconds since 1970
	Config   *Config        `json:"config,omitempty"`
	Sample   *wireSample    `json:"sample,omitempty"`
	Stored   []storedDigest `json:"stored,omitempty"`
	Part     *part          `json:"part,omitempty"`
	Error    string         `json:"error,omitempty"`
}

// storedDigest is an entry of what was stored. The queue's name may be any bytes, which a JSON string may not.
type storedDigest struct {
	Queue []byte `json:"queue"`
	digest
}

// decodeDispatch reads a line, and refuses what lacks what its type needs.
func decodeDispatch(line []byte) (dispatch, error) {
	var d dispatch
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return d, fmt.Errorf("%w: %w", errProtocol, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return d, fmt.Errorf("%w: more than one object in a line", errProtocol)
	}
	ok := true
	switch d.Type {
	case typeChallenge:
		ok = len(d.Nonce) == nonceSize
	case typeAnswer:
		ok = len(d.MAC) == sha256.Size
	case typeRun:
		ok = d.Config != nil
	case typeStart:
		ok = d.At > 0
	case typeSample:
		ok = d.Sample != nil && d.Sample.valid()
	case typePart:
		ok = d.Part != nil
	case typeWelcome, typeClock, typeReady, typeStopped, typeStored, typeAbort, typeFailed:
	default:
		ok = false
	}
	if !ok {
		return d, fmt.Errorf("%w: bad %q", errProtocol, d.Type)
	}
	return d, nil
}

const nonceSize = 32

// prove is the answer to a challenge.
func prove(token string, nonce []byte) []byte {
	h := hmac.New(sha256.New, []byte(token))
	_, _ = h.Write([]byte("quicnprotochat-load worker\x00"))
	_, _ = h.Write(nonce)
	return h.Sum(nil)
}

// A talk is a connection between two processes of a run. One goroutine receives; any may send.
type talk struct {
	in *bufio.Reader

	mu  sync.Mutex
	out io.Writer
}

func newTalk(rw io.ReadWriter) *talk { return &talk{in: bufio.NewReaderSize(rw, 64<<10), out: rw} }

func (t *talk) send(d dispatch) error {
	line, err := json.Marshal(d)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	_, err = t.out.Write(append(line, '\n'))
	return err
}

// receive reads a line of at most limit bytes.
func (t *talk) receive(limit int) (dispatch, error) {
	var line []byte
	for {
		piece, err := t.in.ReadSlice('\n')
		if len(line)+len(piece) > limit {
			return dispatch{}, fmt.Errorf("%w: a line of more than %d bytes", errProtocol, limit)
		}
		line = append(line, piece...)
		switch {
		case err == nil:
			return decodeDispatch(line)
		case errors.Is(err, bufio.ErrBufferFull):
		default:
			return dispatch{}, err
		}
	}
}

// want receives a line of one type.
func (t *talk) want(kind string, limit int) (dispatch, error) {
	d, err := t.receive(limit)
	switch {
	case err != nil:
		return d, err
	case d.Type == typeFailed:
		return d, errors.New(d.Error)
	case d.Type != kind:
		return d, fmt.Errorf("%w: %q in place of %q", errProtocol, d.Type, kind)
	}
	return d, nil
}

func toWire(stored map[string]digest) []storedDigest {
	out := make([]storedDigest, 0, len(stored))
	for q, d := range stored {
		out = append(out, storedDigest{[]byte(q), d})
	}
	return out
}

func fromWire(stored []storedDigest) map[string]digest {
	out := make(map[string]digest, len(stored))
	for _, s := range stored {
		out[string(s.Queue)] = s.digest
	}
	return out
}
