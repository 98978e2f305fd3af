package pebble

import "testing"

// SetMaxFailedFlushes makes a store give up sooner.
func SetMaxFailedFlushes(t *testing.T, n int32) {
	old := maxFailedFlushes
	maxFailedFlushes = n
	t.Cleanup(func() { maxFailedFlushes = old })
}
