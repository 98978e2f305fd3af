package pebble

import (
	"testing"

	"quicnprotochat/store/internal/disk"
)

// SetMaxFailedFlushes makes a store give up sooner.
func SetMaxFailedFlushes(t *testing.T, n int32) {
	old := disk.MaxFailedFlushes
	disk.MaxFailedFlushes = n
	t.Cleanup(func() { disk.MaxFailedFlushes = old })
}
