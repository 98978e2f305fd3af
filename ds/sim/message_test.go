package sim

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
)

// message is what a simulated MLSMessage says behind its header.
type message struct {
	ID      string
	Sender  int
	Commit  bool
	Epoch   uint64 // that it was made in
	Added   []int
	Removed []int
	Roster  []int // of a Welcome: all members
}

// encode writes a PrivateMessage (RFC 9420 section 6.3), as far as the service reads it.
func (m *message) encode(group string) []byte {
	b := append([]byte{0, 1, 0, 2, byte(len(group))}, group...)
	b = binary.BigEndian.AppendUint64(b, m.Epoch)
	kind := byte(1)
	if m.Commit {
		kind = 3
	}
	return append(append(b, kind), m.text()...)
}

// encodeWelcome writes a Welcome for a group.
func (m *message) encodeWelcome(group string) []byte {
	b := append([]byte{0, 1, 0, 3, byte(len(group))}, group...)
	return append(b, m.text()...)
}

func (m *message) text() []byte {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // there is nothing in it that cannot be written
	}
	return text
}

// decode reads what encode and encodeWelcome wrote.
func decode(b []byte) (group string, m message, err error) {
	if len(b) < 5 || len(b) < 5+int(b[4]) {
		return "", m, fmt.Errorf("a message of %d bytes", len(b))
	}
	group, b = string(b[5:5+int(b[4])]), b[5+int(b[4]):]
	if len(b) > 9 && b[0] != '{' { // behind the epoch and the content type; a Welcome has neither
		b = b[9:]
	}
	return group, m, json.Unmarshal(b, &m)
}
