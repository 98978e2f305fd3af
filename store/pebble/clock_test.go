package pebble_test

import (
	"sync/atomic"
	"time"
)

// testClock moves an hour at a time.
type testClock struct{ hours atomic.Int64 }

func (c *testClock) now() time.Time {
	return time.Unix(1_750_000_000, 0).Add(time.Duration(c.hours.Load()) * time.Hour)
}

func (c *testClock) pass() { c.hours.Add(1) }
