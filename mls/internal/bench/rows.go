package main

// unit says how a benchmark's median becomes the figure of a row.
type unit struct {
	from   string                  // unit of the benchmark
	to     func(v float64) float64 // nil: as it is
	higher bool                    // more is better
}

var (
	ms     = unit{from: "ns/op", to: func(v float64) float64 { return v / 1e6 }}
	us     = unit{from: "ns/op", to: func(v float64) float64 { return v / 1e3 }}
	rate   = unit{from: "ns/op", to: func(v float64) float64 { return 1e9 / v }, higher: true}
	mbs    = unit{from: "MB/s", higher: true}
	memory = unit{from: "MB/state"}
)

// primitives counts the dear operations that a row cannot do without.
type primitives struct {
	keygen, dh, sign, verify float64
}

// row is one row of the table, with as many figures as benchmarks.
type row struct {
	title      string
	unit       unit
	benchmarks []string
	cpp, other []float64 // mlspp, the best Go peer
	floor      []float64 // from Go's primitives, on the machine of the peers' figures
	needs      []primitives
}

// The figures of the peers were taken before on a machine of this kind: mlspp
// with OpenSSL 3.0, and the best of the Go implementations.
//
// needs counts, for one processor: X25519 key generations (ephemeral, derived
// and fresh keys alike) and exchanges, Ed25519 signatures and verifications. A
// path of a full tree of n members has log2(n) nodes: one derived key and one
// HPKE encryption each; who processes it derives about two keys.
var rows = []row{
	{"KeyPackage, ms", ms, []string{"KeyPackage"}, []float64{0.345}, []float64{0.157}, nil,
		[]primitives{{keygen: 2, sign: 2}}},
	{"create + add + join, KeyPackage ready / made within, ms", ms, of("CreateAddJoin", "ready", "within"),
		[]float64{1.82, 1.82}, []float64{0.58, 0.58}, nil,
		[]primitives{{2, 2, 3, 4}, {4, 2, 5, 4}}},
	{"add commit, no path, blank tree, 10/100/1000, ms", ms, of("AddCommitBlankTree", "10", "100", "1000"),
		[]float64{1.26, 2.35, 14.0}, []float64{0.67, 2.18, 22.1}, nil,
		[]primitives{{1, 1, 2, 2}, {1, 1, 2, 2}, {1, 1, 2, 2}}},
	{"join, populated tree, 10/100/1000, ms", ms, of("JoinPopulatedTree", "10", "100", "1000"),
		[]float64{1.91, 14.5, 142}, []float64{1.62, 18.0, 148}, []float64{0, 0, 51},
		[]primitives{{dh: 1, verify: 11}, {dh: 1, verify: 101}, {dh: 1, verify: 1001}}},
	{"update commit create, populated, 10/100/1000, ms", ms, of("UpdateCommitCreate", "10", "100", "1000"),
		[]float64{1.45, 3.45, 15.2}, []float64{1.29, 4.26, 18.8}, nil,
		[]primitives{{9, 4, 2, 0}, {15, 7, 2, 0}, {21, 10, 2, 0}}},
	{"update commit process, populated, 10/100/1000, ms", ms, of("UpdateCommitProcess", "10", "100", "1000"),
		[]float64{0.78, 2.06, 16.0}, []float64{0.49, 2.30, 12.2}, nil,
		[]primitives{{2, 1, 0, 2}, {2, 1, 0, 2}, {2, 1, 0, 2}}},
	{"256 B protect / unprotect, messages/s", rate, []string{"Protect/256", "Unprotect/256"},
		[]float64{7871, 3545}, []float64{20400, 11622}, []float64{35000, 17000},
		[]primitives{{sign: 1}, {verify: 1}}},
	{"64 KiB protect / unprotect, MB/s", mbs, []string{"Protect/65536", "Unprotect/65536"},
		[]float64{66, 42}, []float64{124, 180}, []float64{225, 300}, nil},
	{"memory of one 1,000-member state, MB", memory, []string{"Memory"}, []float64{18.0}, []float64{18.9}, nil, nil},
	{"add 999 members in one commit, ms", ms, []string{"Add999"}, []float64{1310}, []float64{486}, nil,
		[]primitives{{999, 999, 2, 1998}}},
	{"X-Wing: HPKE seal / open, us", us, []string{"XWing/seal", "XWing/open"}, nil, nil, []float64{143, 132}, nil},
}

var baselines = []struct {
	title, benchmark string
	unit             unit
	reference        float64 // where the peers' table tells it
}{
	{"X25519 key generation, us", "Baseline/x25519-keygen", us, 0},
	{"X25519 exchange, us", "Baseline/x25519", us, 0},
	{"Ed25519 sign 300 B, us", "Baseline/ed25519-sign", us, 0},
	{"Ed25519 verify 300 B, us", "Baseline/ed25519-verify", us, 51},
	{"HPKE seal (crypto/hpke), us", "Baseline/hpke-seal", us, 0},
	{"HPKE open (crypto/hpke), us", "Baseline/hpke-open", us, 0},
	{"AES-128-GCM seal 64 KiB, MB/s", "Baseline/aes128gcm", mbs, 0},
	{"SHA-256 64 KiB, MB/s", "Baseline/sha256", mbs, 0},
	{"SHA-512 64 KiB, MB/s", "Baseline/sha512", mbs, 0},
}

var largeRows = []struct{ title, benchmark string }{
	{"add commit, no path, populated", "Large/add"},
	{"join", "Large/join"},
	{"update commit create", "Large/create"},
	{"update commit process", "Large/process"},
	{"256 B protect", "Large/protect"},
	{"256 B unprotect", "Large/unprotect"},
	{"load the saved state", "Large/load"},
}

var saveRows = []struct{ title, benchmark string }{
	{"after an own message", "Save/sent"},
	{"after another's message", "Save/received"},
	{"after another's commit", "Save/commit"},
}

func of(benchmark string, sizes ...string) []string {
	var out []string
	for _, s := range sizes {
		out = append(out, benchmark+"/"+s)
	}
	return out
}
