package load

import (
	"errors"
	"fmt"
	"testing"

	"github.com/quic-go/quic-go"

	"quicnprotochat/quicrpc"
)

func TestTurnedAway(t *testing.T) {
	refused := &quic.TransportError{Remote: true, ErrorCode: quic.ConnectionRefused}
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"by quic-go": {fmt.Errorf("client 3: %w", refused), true}, "as quicrpc says it": {fmt.Errorf("dial: %w", quicrpc.ErrRefused), true},
		"nothing": {nil, false}, "another end": {&quic.TransportError{ErrorCode: quic.InternalError}, false}, "anything": {errors.New("refused"), false},
	} {
		if got := turnedAway(c.err); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
