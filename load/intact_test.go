package load

import (
	"strings"
	"testing"

	"quicnprotochat/client"
)

// TestSpoiled: a payload that was changed, cut or made longer on its way is noticed by each kind of receiver, though its stamp is good.
func TestSpoiled(t *testing.T) {
	for name, spoil := range map[string]func([]byte) []byte{
		"":        nil,
		"changed": func(b []byte) []byte { b[stampSize+100] ^= 1; return b },
		"cut":     func(b []byte) []byte { return b[:len(b)-1] },
		"longer":  func(b []byte) []byte { return append(b, 0) },
	} {
		r := testRun(t)
		r.cfg.PerClient = 1
		s := r.newSender(9, "q", 0, 1, nil)
		var batch []client.Envelope
		for i, m := range s.compose([]int64{1, 2, 3}) {
			batch = append(batch, client.Envelope{Seq: uint64(i) + 1, Payload: m.payload})
		}
		if spoil != nil {
			batch[1].Payload = spoil(batch[1].Payload)
		}
		v := r.newReceiver(1, inboxOnly("q"))
		if err := v.handle(t.Context(), client.Queue{}, batch); err != nil {
			t.Fatal(err)
		}
		tr := newTracker("q", 1, &r.faults)
		all := map[string]digest{"q": {Count: 9}}
		visitor := &visit{b: &backlog{r: r}, stored: all, progress: newProgress(9), waiting: 1, trackers: map[client.Queue]*tracker{{}: tr}}
		if err := visitor.handle(t.Context(), client.Queue{}, batch); err != nil {
			t.Fatal(err)
		}
		n, told := r.faults.list()
		want := 0
		if spoil != nil {
			want = 2
		}
		if n != want || spoil != nil && strings.Count(strings.Join(told, "\n"), "place 2 is not what was sent") != 2 {
			t.Errorf("%s: %q", name, told)
		}
	}
}
