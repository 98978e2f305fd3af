package quicrpc

import "sync/atomic"

// counts are a server's totals since its start.
type counts struct {
	connections, rpcStreams, pushStreams, calls, pushMessages, pushBytes atomic.Uint64
	rpcOpen, pushOpen, callsOpen                                         atomic.Int64
}

// Stats are a server's present state and its totals since the start.
type Stats struct {
	Connections int // now, handshakes included
	Handshakes  int // of these, under way
	RPCStreams  int // open now
	PushStreams int // open now
	Calls       int // under way now
	MemoryHeld  int64

	ConnectionsTotal   uint64 // that completed or resumed a handshake
	ConnectionsRefused uint64 // for Limits.MaxConnections or MaxConnectionsPerSource
	Retries            uint64 // packets answered by the demand to prove the address
	RPCStreamsTotal    uint64
	PushStreamsTotal   uint64
	CallsTotal         uint64
	PushMessages       uint64 // sent
	PushBytes          uint64 // sent, with framing
	Cut                map[string]uint64
}

// Stats returns the server's numbers. Cut counts what was cut for the peer's fault, by the name of the code.
func (s *Server) Stats() Stats {
	a := s.admission
	a.mu.Lock()
	st := Stats{Connections: a.total, Handshakes: a.handshaking, ConnectionsRefused: a.refused, Retries: a.retries}
	a.mu.Unlock()
	st.RPCStreams, st.PushStreams, st.Calls = int(s.counts.rpcOpen.Load()), int(s.counts.pushOpen.Load()), int(s.counts.callsOpen.Load())
	st.MemoryHeld = s.memory.used.Load()
	st.ConnectionsTotal, st.RPCStreamsTotal, st.PushStreamsTotal = s.counts.connections.Load(), s.counts.rpcStreams.Load(), s.counts.pushStreams.Load()
	st.CallsTotal, st.PushMessages, st.PushBytes = s.counts.calls.Load(), s.counts.pushMessages.Load(), s.counts.pushBytes.Load()
	st.Cut = s.cuts.snapshot()
	return st
}
