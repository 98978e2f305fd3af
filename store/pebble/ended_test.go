package pebble

import (
	"errors"
	"log/slog"
	"testing"

	"quicnprotochat/store"
	"quicnprotochat/store/internal/disk"
)

// TestEndedByFailure: a call whose committer ended by a failure says so, whichever it hears of first, and one that ended by Close that it is closed.
func TestEndedByFailure(t *testing.T) {
	for range 1000 {
		for want, fails := range map[error]bool{store.ErrFailed: true, store.ErrClosed: false} {
			s := &Store{fail: disk.NewFailure(slog.New(slog.DiscardHandler)), requests: make(chan *request), stopped: make(chan struct{})}
			go func() {
				<-s.requests
				if fails {
					s.fail.Set(errors.New("no disk"))
				}
				close(s.stopped)
			}()
			if err := s.do(t.Context(), nil); !errors.Is(err, want) {
				t.Fatalf("%v in place of %v", err, want)
			}
		}
	}
}
