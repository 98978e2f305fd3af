// Package schemas holds the Cap'n Proto interfaces of quicnprotochat and their generated Go. The .capnp files are the reference:
// every method and field says there what it means, its size, its unit and its errors.
package schemas
