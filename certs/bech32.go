package certs

import (
	"errors"
	"strings"
)

// Bech32 of BIP 173: a human-readable part, "1", data in groups of five bits, and a checksum of six characters that catches any error
// in up to four of them. The only library that has it comes with a Bitcoin node, hence these few lines; BIP 173's vectors test them.

const (
	bech32Charset     = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	bech32ChecksumLen = 6
	bech32MaxLen      = 90
)

var (
	errBech32Length   = errors.New("wrong length")
	errBech32Case     = errors.New("mixes upper and lower case")
	errBech32Char     = errors.New("has a character that never occurs in one")
	errBech32Checksum = errors.New("checksum does not match")
	errBech32Padding  = errors.New("has bits left over")
)

func bech32Polymod(values []byte) uint32 {
	generator := [5]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3}
	chk := uint32(1)
	for _, v := range values {
		top := chk >> 25
		chk = (chk&0x1ffffff)<<5 ^ uint32(v)
		for i, g := range generator {
			if top>>i&1 == 1 {
				chk ^= g
			}
		}
	}
	return chk
}

// bech32Expand gives the values that the human-readable part adds to the checksum.
func bech32Expand(hrp string) []byte {
	out := make([]byte, 0, 2*len(hrp)+1+bech32MaxLen)
	for i := range len(hrp) {
		out = append(out, hrp[i]>>5)
	}
	out = append(out, 0)
	for i := range len(hrp) {
		out = append(out, hrp[i]&31)
	}
	return out
}

// bech32Encode returns data under the lower-case human-readable part hrp.
func bech32Encode(hrp string, data []byte) string {
	groups := regroup(data, 8, 5, true)
	values := append(bech32Expand(hrp), groups...)
	chk := bech32Polymod(append(values, make([]byte, bech32ChecksumLen)...)) ^ 1
	var b strings.Builder
	b.WriteString(hrp)
	b.WriteByte('1')
	for _, g := range groups {
		b.WriteByte(bech32Charset[g])
	}
	for i := range bech32ChecksumLen {
		b.WriteByte(bech32Charset[chk>>(5*(bech32ChecksumLen-1-i))&31])
	}
	return b.String()
}

// bech32Decode splits s into its human-readable part and data, and checks the checksum.
func bech32Decode(s string) (hrp string, data []byte, err error) {
	lower := strings.ToLower(s)
	if s != lower && s != strings.ToUpper(s) {
		return "", nil, errBech32Case
	}
	sep := strings.LastIndexByte(lower, '1')
	if len(s) > bech32MaxLen || sep < 1 || sep+1+bech32ChecksumLen > len(s) {
		return "", nil, errBech32Length
	}
	hrp = lower[:sep]
	for i := range len(hrp) {
		if hrp[i] < 33 || hrp[i] > 126 {
			return "", nil, errBech32Char
		}
	}
	groups := make([]byte, 0, len(lower)-sep-1)
	for _, c := range []byte(lower[sep+1:]) {
		v := strings.IndexByte(bech32Charset, c)
		if v < 0 {
			return "", nil, errBech32Char
		}
		groups = append(groups, byte(v))
	}
	if bech32Polymod(append(bech32Expand(hrp), groups...)) != 1 {
		return "", nil, errBech32Checksum
	}
	data = regroup(groups[:len(groups)-bech32ChecksumLen], 5, 8, false)
	if data == nil {
		return "", nil, errBech32Padding
	}
	return hrp, data, nil
}

// regroup changes groups of from bits into groups of to bits. Without pad, bits left over must be zero and fewer than from: else nil.
func regroup(in []byte, from, to uint, pad bool) []byte {
	acc, bits := uint32(0), uint(0)
	out := make([]byte, 0, len(in)*int(from)/int(to)+1)
	for _, v := range in {
		acc = acc<<from | uint32(v)
		bits += from
		for bits >= to {
			bits -= to
			out = append(out, byte(acc>>bits&(1<<to-1)))
		}
		acc &= 1<<bits - 1
	}
	if pad && bits > 0 {
		out = append(out, byte(acc<<(to-bits)&(1<<to-1)))
	}
	if !pad && (bits >= from || acc != 0) {
		return nil
	}
	return out
}
