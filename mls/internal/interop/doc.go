// Package interop holds tests only: they run drivers of MLS implementations as
// child processes and let them share groups. A driver is our own
// (mls/internal/driver) or a foreign one that speaks the same protocol, a JSON
// request and answer a line.
//
// Our driver always runs against itself. With QUICNPROTOCHAT_INTEROP=1 it also
// runs against ts-mls, which needs node, npm and the directory "interop" of the
// shared material: below QUICNPROTOCHAT_SHARED, or in "shared" beside the module.
// With QUICNPROTOCHAT_REQUIRE_SHARED=1 their absence is a failure.
package interop
