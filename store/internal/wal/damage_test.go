package wal

import (
	"bytes"
	"testing"
)

// TestTorn cuts the last batch at each byte: what stood before is all there, and the log goes on.
func TestTorn(t *testing.T) {
	both(t, func(t *testing.T, key []byte) {
		o, name, want := fileOf(t, key, 5)
		content := load(t, o.FS, name)
		last := int(want[4][0].pos.Offset)
		for cut := last; cut < last+120; cut++ {
			torn := bytes.Clone(content)
			clear(torn[cut:])
			o := with(t, key, torn)
			l, report, all := open(t, o, 0)
			if len(all) < 8 || len(report.Corrupt) != 0 {
				t.Fatalf("cut at %d: %d records, %+v", cut, len(all), report)
			}
			same(t, all, flat(want)[:len(all)])
			more := append(all, put(t, l, true, record(99))...)
			closeLog(t, l)
			l, report, all = open(t, o, 0)
			same(t, all, more)
			if len(report.Corrupt) != 0 {
				t.Fatalf("cut at %d, opened again: %+v", cut, report)
			}
			closeLog(t, l)
		}
	})
}

// TestFlipped changes each byte of what a later batch, or the closing, vouches for: all else is replayed, and the damage is told.
func TestFlipped(t *testing.T) {
	both(t, func(t *testing.T, key []byte) {
		o, name, want := fileOf(t, key, 4)
		content := load(t, o.FS, name)
		from, to := firstBatch, int(want[3][1].pos.Offset)+20
		for at := from; at < to; at++ {
			damaged := bytes.Clone(content)
			damaged[at] ^= 0x40
			l, report, all := open(t, with(t, key, damaged), 0)
			closeLog(t, l)
			if len(report.Corrupt) == 0 {
				t.Fatalf("byte %d: nothing is told, %d records", at, len(all))
			}
			if c := report.Corrupt[0]; c.Segment != 1 || c.Offset > int64(at) || c.Offset < int64(at)-700 {
				t.Fatalf("byte %d: told as %+v", at, c)
			}
			if missing := len(flat(want)) - len(all); missing > 2 { // one record, or a batch of two
				t.Fatalf("byte %d: %d records are missing", at, missing)
			}
			i := 0
			for _, p := range flat(want) { // nothing is invented, nothing out of order
				if i < len(all) && all[i].pos == p.pos {
					same(t, all[i:i+1], []placed{p})
					i++
				}
			}
			if i != len(all) {
				t.Fatalf("byte %d: records that were never written", at)
			}
		}
		broken := bytes.Clone(content)
		clear(broken[:firstBatch]) // the header has a second copy
		l, _, all := open(t, with(t, key, broken), 0)
		closeLog(t, l)
		same(t, all, flat(want))
		for at := range headerSize {
			damaged := bytes.Clone(content)
			damaged[at] ^= 1
			l, _, all := open(t, with(t, key, damaged), 0)
			closeLog(t, l)
			same(t, all, flat(want))
		}
	})
}
