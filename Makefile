# quicnprotochat: `make demo` runs the main job, `make test` runs all tests. CI=true .ci/run does what the project's own CI does.

GO       ?= go
BIN      ?= bin
PREFIX   ?= /usr/local
FUZZTIME ?= 20s
STOREDIR ?=
SEEDS    ?= 200
COUNT    ?= 5
MEMBERS  ?= 1000
SHARED   ?= $(wildcard ../shared)

CAPNPC_GO_VERSION   = v3.1.0-alpha.2
STATICCHECK_VERSION = v0.8.2

export CGO_ENABLED ?= 0

.PHONY: all build test demo vectors interop conformance fuzz crash sim groups bench growth bench-go bench-mls bench-store bench-compare lint generate install clean

all: build

build:
	$(GO) build -trimpath -o $(BIN)/ ./cmd/...

demo: build
	BIN=$(BIN) scripts/demo.sh

test:
	$(GO) test ./...

# The official MLS test vectors: a line each.
vectors:
	$(GO) run ./mls/internal/vectors $(SHARED)/mls-vectors

# Foreign MLS implementations (node): their packages are installed by the tests, outside the tree.
interop:
	QUICNPROTOCHAT_INTEROP=1 $(GO) test -count=1 -v -run Interop ./mls/internal/interop

# Every rule of package store against each engine, at full size: some minutes.
conformance:
	QUICNPROTOCHAT_CONFORMANCE=full $(GO) test -count=1 -v -timeout 20m -run Conformance ./store/memory ./store/pebble ./store/hotlog

# Each fuzz target of each package for FUZZTIME.
fuzz:
	GO="$(GO)" FUZZTIME=$(FUZZTIME) scripts/fuzz.sh

# More crashes of the store than `make test` has: simulated ones at many points, and kill -9 of the real daemon under load.
crash:
	QUICNPROTOCHAT_CRASHES=600 $(GO) test -count=1 -timeout 30m -run Crash ./store/...
	QUICNPROTOCHAT_CRASH_ROUNDS=50 $(GO) test -count=1 -timeout 30m -v -run KilledUnderLoad ./integration

# The delivery service in virtual time: SEEDS histories of broken connections and crashes.
sim:
	$(GO) test -count=1 ./ds/sim -seeds $(SEEDS)

# 64 members who commit as fast as they can for a minute, and a group of 1,000 members, half of them away, that gets 10,000 messages.
groups:
	QUICNPROTOCHAT_RACE=60s $(GO) test -count=1 -v -run CommitRace ./integration
	QUICNPROTOCHAT_MEMBERS=1000 QUICNPROTOCHAT_MESSAGES=10000 $(GO) test -count=1 -v -run LargeGroup ./integration

# Each kind of load for some seconds, against a daemon of its own, in one table: eight minutes (docs/load.md).
bench: build
	$(BIN)/quicnprotochat-load bench --daemon $(BIN)/quicnprotochatd

# The same at 1, 10 and 100 times the size.
growth: build
	$(BIN)/quicnprotochat-load bench --growth --daemon $(BIN)/quicnprotochatd

# The Go benchmarks of all packages.
bench-go:
	$(GO) test -run '^$$' -bench . -benchmem -timeout 60m ./...

# The MLS library against its peers, medians of three: some minutes.
bench-mls:
	$(GO) run ./mls/internal/bench -go $(GO)

# The store engines beside each other and a bare log, on the disk of STOREDIR: some ten minutes.
bench-store:
	$(GO) run ./store/internal/bench -dir '$(STOREDIR)'

# Ours beside Mosquitto (Debian's mosquitto must be installed) and NATS JetStream, medians of COUNT runs: some ten minutes (docs/compare.md).
bench-compare: build
	cd bench/compare && $(GO) build -trimpath -o $(abspath $(BIN))/compare .
	$(BIN)/compare -daemon $(BIN)/quicnprotochatd -dir '$(STOREDIR)' -count $(COUNT) -scenario relay
	$(BIN)/compare -daemon $(BIN)/quicnprotochatd -dir '$(STOREDIR)' -count $(COUNT) -scenario fanout -members $(MEMBERS)

lint:
	GO="$(GO)" STATICCHECK_VERSION=$(STATICCHECK_VERSION) scripts/lint.sh

# Needs Debian's capnproto. Installs the Go plug-in into BIN.
generate:
	GOBIN=$(abspath $(BIN)) $(GO) install capnproto.org/go/capnp/v3/capnpc-go@$(CAPNPC_GO_VERSION)
	PATH="$(abspath $(BIN)):$$PATH" GO="$(GO)" scripts/generate.sh

install: build
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)/lib/systemd/system $(DESTDIR)/etc/sysctl.d
	install -m 0755 $(BIN)/quicnprotochatd $(BIN)/quicnprotochat $(DESTDIR)$(PREFIX)/bin/
	sed 's|/usr/local/bin|$(PREFIX)/bin|' deploy/systemd/quicnprotochatd.service > $(DESTDIR)/lib/systemd/system/quicnprotochatd.service
	install -m 0644 deploy/systemd/50-quicnprotochat.conf $(DESTDIR)/etc/sysctl.d/

clean:
	rm -rf $(BIN)
