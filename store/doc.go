// Package store is what the services need of a disk: durable, ordered queues, and pools of KeyPackages that are handed out once.
//
// A sender calls Enqueue; when it returns, each message that is reported stored is on disk. The recipient subscribes with
// Watch, calls Read after the cursor that it knows, and Acknowledge when it has the messages safe; what is acknowledged is removed.
//
//	w, _ := s.Watch(owner)           // subscribe first,
//	page, _ := s.Read(ctx, q, 0, 256, 1<<20) // then read
//	...
//	s.Acknowledge(ctx, []store.Cursor{{Queue: q, Seq: last}})
//
// The interface names no engine. quicnprotochat/store/pebble keeps everything in one LSM tree; quicnprotochat/store/memory
// keeps nothing across processes and serves tests. quicnprotochat/store/storetest holds every engine to the same rules.
package store
