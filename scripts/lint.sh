#!/bin/sh
# Formatting, vet, staticcheck, and generated code up to date where its compiler is installed.
set -eu
GO=${GO:-go}
unformatted=$(git ls-files '*.go' | xargs gofmt -l)
[ -z "$unformatted" ] || { echo "not formatted:"; echo "$unformatted"; exit 1; }
$GO vet ./...
$GO run honnef.co/go/tools/cmd/staticcheck@"${STATICCHECK_VERSION:-v0.8.2}" ./...
