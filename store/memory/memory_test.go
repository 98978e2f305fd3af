package memory_test

import (
	"testing"

	"quicnprotochat/store/memory"
	"quicnprotochat/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(_ *testing.T, c storetest.Config) storetest.Opened[*memory.Store] {
		return storetest.Opened[*memory.Store]{Store: memory.New(memory.Options{Quota: c.Quota, Clock: c.Clock})}
	})
}
