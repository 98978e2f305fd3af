#!/bin/sh
# Runs each fuzz target of the module for FUZZTIME.
set -eu
GO=${GO:-go}
for pkg in $($GO list ./...); do
	for target in $($GO test -list '^Fuzz' "$pkg" | grep '^Fuzz' || :); do
		echo "== $pkg $target"
		$GO test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-20s}" -fuzzminimizetime 10x "$pkg"
	done
done
