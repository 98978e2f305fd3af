// Package store is what the services need of a disk: durable, ordered queues; groups, whose messages are stored once for all who read them; pools of KeyPackages that
// are handed out once; small records; and blobs.
//
// A sender calls Enqueue; when it returns, each message that is reported stored is on disk. The recipient subscribes with
// Watch, calls Read after the cursor that it knows, and Acknowledge when it has the messages safe; what is acknowledged is removed.
//
//	w, _ := s.Watch(owner)           // subscribe first,
//	page, _ := s.Read(ctx, q, 0, 256, 1<<20) // then read
//	...
//	s.Acknowledge(ctx, []store.Cursor{{Queue: q, Seq: last}})
//
// The interface names no engine. quicnprotochat/store/hotlog is the daemon's: a hot log and a cold tree. quicnprotochat/store/memory keeps nothing across processes
// and serves tests. quicnprotochat/store/pebble keeps messages and KeyPackages in one LSM tree, and is there to be measured beside. quicnprotochat/store/storetest holds every
// engine to the same rules.
package store
