// Package pebble keeps messages and KeyPackages in one LSM tree (github.com/cockroachdb/pebble). It is what the daemon's engine, store/hotlog, is measured beside, and
// serves nothing else.
//
// One goroutine, the committer, owns all mutable state. It takes the calls that wait, applies them to one batch, writes the batch,
// waits for the disk once, publishes a snapshot of the tree as the view that readers see, and only then answers. So sequence
// numbers, duplicates and quotas are decided in one place, many callers share an fsync, and nobody reads what could still be lost.
//
// After an I/O error nothing more is acknowledged: the engine answers ErrFailed to every change, closes Failed, and goes on reading
// where it can. It never retries a failed fsync. Disk space is checked before it runs out (Options.Reserve), which is not a failure: ErrFull ends
// when there is room again.
package pebble
