#!/bin/sh
# Makes the Go code of schemas/*.capnp anew, and notes what it was made from (schemas/generated.sum, which a test compares).
set -eu
GO=${GO:-go}
std="$($GO list -m -f '{{.Dir}}' capnproto.org/go/capnp/v3)/std"
cd schemas
capnp compile -I "$std" -ogo ./*.capnp
gofmt -w ./*.capnp.go
sha256sum ./*.capnp ./*.capnp.go | sed 's|  \./|  |' >generated.sum
