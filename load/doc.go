// Package load puts load on a daemon and measures what it does.
//
// A run is one scenario: clients with identities of their own, each on a QUIC connection of its own, against a daemon process. It has phases: the
// clients connect, warm up, are measured, stop sending, and receive what is still on its way. Then the run checks itself: what was acknowledged as
// stored has arrived, once, in order, or the run failed (ErrViolation).
//
// Latency counts from the time at which a message was meant to be sent. With a rate (open loop) that time does not depend on how fast the daemon
// answers, so a stall shows in every message that it held up. Without one (closed loop) a sender keeps a window of messages under way.
//
// Several processes may share a run, each with some of the clients. The clients' identities are made from the run's key, so that each process knows all.
package load
