package certs

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The valid and invalid strings of BIP 173 (those whose data part is whole bytes are decoded whole).
func TestBech32Vectors(t *testing.T) {
	valid := []string{
		"A12UEL5L",
		"a12uel5l",
		"an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs",
		"abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw",
		"split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w",
		"?1ezyfcl",
	}
	for _, s := range valid {
		// Padding is a rule of the data, not of the checksum: the vectors' data need not be whole bytes.
		if _, _, err := bech32Decode(s); err != nil && !errors.Is(err, errBech32Padding) {
			t.Errorf("%s: %v", s, err)
		}
	}
	invalid := map[string]error{
		"\x201nwldj5": errBech32Char,
		"\x7f1axkwrx": errBech32Char,
		"an84characterslonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1569pvx": errBech32Length,
		"pzry9x0s0muk":  errBech32Length,
		"1pzry9x0s0muk": errBech32Length,
		"x1b4n0q5v":     errBech32Char,
		"li1dgmt3":      errBech32Length,
		"A1G7SGD8":      errBech32Checksum,
		"10a06t8":       errBech32Length,
		"1qzzfhee":      errBech32Length,
		"a12UEL5L":      errBech32Case,
	}
	for s, want := range invalid {
		if _, _, err := bech32Decode(s); !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", s, err, want)
		}
	}
}

func TestBech32RoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "data")
		hrp, got, err := bech32Decode(bech32Encode("qnp", data))
		if err != nil || hrp != "qnp" || !bytes.Equal(got, data) {
			t.Fatalf("%x came back as %q %x, %v", data, hrp, got, err)
		}
	})
}

// Up to four wrong characters are always caught.
func TestIdentityTypingError(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := Identity(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key"))
		s := []byte(id.String())
		for range rapid.IntRange(1, 4).Draw(t, "errors") {
			at := rapid.IntRange(len("qnp1"), len(s)-1).Draw(t, "at")
			s[at] = bech32Charset[rapid.IntRange(0, 31).Draw(t, "char")]
		}
		got, err := ParseIdentity(string(s))
		if string(s) == id.String() {
			if err != nil || got != id {
				t.Fatalf("%s: %v", s, err)
			}
		} else if !errors.Is(err, ErrIdentity) {
			t.Fatalf("%s instead of %s: %v", s, id, err)
		}
	})
}

func TestParseIdentityRefuses(t *testing.T) {
	for _, s := range []string{"", "qnp1", "hello", bech32Encode("qnq", make([]byte, 32)), bech32Encode("qnp", make([]byte, 31)),
		bech32Encode("qnp", make([]byte, 33)), strings.Repeat("q", 1000)} {
		if _, err := ParseIdentity(s); !errors.Is(err, ErrIdentity) {
			t.Errorf("%q: %v", s, err)
		}
	}
	id := Identity{1, 2, 3}
	if got, err := ParseIdentity(" " + strings.ToUpper(id.String()) + "\n"); err != nil || got != id {
		t.Errorf("upper case and white space: %v %v", got, err)
	}
	if len(id.String()) != 62 {
		t.Errorf("printed form has %d characters", len(id.String()))
	}
}

func FuzzParseIdentity(f *testing.F) {
	f.Add(Identity{}.String())
	f.Add("qnp1qqqq")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseIdentity(s)
		if err == nil && id.String() != strings.ToLower(strings.TrimSpace(s)) {
			t.Fatalf("%q parsed as %s", s, id)
		}
	})
}
