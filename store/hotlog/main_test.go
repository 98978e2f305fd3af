package hotlog

import (
	"errors"
	"testing"

	"go.uber.org/goleak"

	"quicnprotochat/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// abandon closes a store that has failed, and what it leaves open for the rest of its process: here the disk only pretended, so that no lock is held.
func abandon(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); !errors.Is(err, store.ErrFailed) {
		t.Errorf("closing a store that has failed: %v", err)
	}
	abandonTree(t, s)
}

func abandonTree(t *testing.T, s *Store) {
	t.Helper()
	if err := errors.Join(s.tree.db.Close(), s.lock.Close()); err != nil {
		t.Error(err)
	}
}
