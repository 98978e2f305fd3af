package suite

import (
	"bytes"
	"crypto/hpke"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
)

type hexBytes []byte

func (h *hexBytes) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

// vector is a published test vector of HPKE in base mode with the first of its
// messages: of RFC 9180 appendix A and its authors' collection, or of
// draft-ietf-hpke-pq, in November 2025. They are a selection of what circl and
// crypto/hpke test themselves with.
type vector struct {
	Suites         []uint16 // of MLS, that have the KEM
	KEM            uint16   `json:"kem_id"`
	KDF            uint16   `json:"kdf_id"`
	AEAD           uint16   `json:"aead_id"`
	Info           hexBytes
	EphemeralIKM   hexBytes `json:"ikmE"`
	RecipientIKM   hexBytes `json:"ikmR"`
	Private        hexBytes `json:"skRm"`
	Public         hexBytes `json:"pkRm"`
	Enc            hexBytes
	SharedSecret   hexBytes `json:"shared_secret"`
	Key            hexBytes
	BaseNonce      hexBytes `json:"base_nonce"`
	ExporterSecret hexBytes `json:"exporter_secret"`
	Encryption     struct{ AAD, PT, CT hexBytes }
	Exports        []struct {
		Context hexBytes `json:"exporter_context"`
		L       int
		Value   hexBytes `json:"exported_value"`
	}
}

func equal(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s: %x, not %x", what, got, want)
	}
}

// TestVectors runs the published vectors of each KEM. Where they are of the
// suite's KDF and AEAD too, the whole of HPKE is compared.
func TestVectors(t *testing.T) {
	b, err := os.ReadFile("testdata/hpke.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	run := make(map[uint16]bool)
	for _, v := range all {
		for _, id := range v.Suites {
			s := suites[id]
			run[id] = true
			t.Run(s.Name, func(t *testing.T) {
				k, err := s.DeriveKey(v.RecipientIKM)
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "derived public key", k.Public(), v.Public)
				parsed, err := s.ParseKey(v.Private)
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "serialized private key", k.Bytes(), parsed.Bytes())
				equal(t, "parsed public key", parsed.Public(), v.Public)
				switch m := s.kem.(type) {
				case *dhKEM:
					m.runVector(t, parsed, &v)
				case *x448KEM:
					m.runVector(t, parsed, &v)
				case *stdKEM:
					m.runVector(t, parsed, &v)
				}
			})
		}
	}
	if len(run) != len(suites) {
		t.Errorf("vectors of %d suites, not %d", len(run), len(suites))
	}
}

func (m *dhKEM) runVector(t *testing.T, k *PrivateKey, v *vector) {
	equal(t, "KEM id", m.kemID, binary.BigEndian.AppendUint16([]byte("KEM"), v.KEM))
	e, err := m.derive(v.EphemeralIKM)
	if err != nil {
		t.Fatal(err)
	}
	ephemeral, err := e.exchanger(m.curve)
	if err != nil {
		t.Fatal(err)
	}
	enc, shared, err := m.encapBy(ephemeral, v.Public)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "encapsulated key", enc, v.Enc)
	equal(t, "sender's shared secret", shared, v.SharedSecret)
	if shared, err = m.decap(k, v.Enc); err != nil {
		t.Fatal(err)
	}
	equal(t, "recipient's shared secret", shared, v.SharedSecret)
	id := []byte("HPKE")
	for _, n := range []uint16{v.KEM, v.KDF, v.AEAD} {
		id = binary.BigEndian.AppendUint16(id, n)
	}
	if !bytes.Equal(id, m.hpkeID) {
		t.Logf("the vector is of KDF %#x and AEAD %#x: only the KEM is compared", v.KDF, v.AEAD)
		return
	}
	info := m.schedule(v.Info, nil)
	key, nonce := m.keys(bytes.Clone(shared), info)
	equal(t, "key", key, v.Key)
	equal(t, "nonce", nonce, v.BaseNonce)
	equal(t, "ciphertext", m.suite.Seal(key, nonce, v.Encryption.AAD, v.Encryption.PT), v.Encryption.CT)
	exporter := m.exporter(shared, info)
	equal(t, "exporter secret", exporter, v.ExporterSecret)
	for _, x := range v.Exports {
		equal(t, "export", m.export(exporter, string(x.Context), x.L), x.Value)
	}
}

func (m *x448KEM) runVector(t *testing.T, k *PrivateKey, v *vector) {
	o, err := m.receive(k, v.Enc, v.Info)
	if err != nil {
		t.Fatal(err)
	}
	p, err := o.Open(v.Encryption.CT, v.Encryption.AAD)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "plaintext", p, v.Encryption.PT)
	for _, x := range v.Exports {
		equal(t, "export", o.Export(x.Context, uint(x.L)), x.Value)
	}
}

// runVector opens with the KDF and AEAD of the vector, which are not those of
// all suites.
func (m *stdKEM) runVector(t *testing.T, k *PrivateKey, v *vector) {
	if m.kem.ID() != v.KEM || m.nEnc != len(v.Enc) {
		t.Errorf("KEM %#x with outputs of %d bytes", m.kem.ID(), m.nEnc)
	}
	kdf, err := hpke.NewKDF(v.KDF)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := hpke.NewAEAD(v.AEAD)
	if err != nil {
		t.Fatal(err)
	}
	r, err := hpke.NewRecipient(v.Enc, k.std, kdf, aead, v.Info)
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.Open(v.Encryption.AAD, v.Encryption.CT)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "plaintext", p, v.Encryption.PT)
	for _, x := range v.Exports {
		got, err := r.Export(string(x.Context), x.L)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "export", got, x.Value)
	}
}

// TestPairings compares the suites with the tables of R §17.1 and of
// draft-ietf-mls-pq-ciphersuites-06 §3.1. Those of X448 have whole vectors.
func TestPairings(t *testing.T) {
	for id, want := range map[uint16]struct {
		kem, kdf, aead uint16
		nh             int
		sig            string
	}{
		X25519AES128:          {0x0020, 1, 1, 32, "Ed25519"},
		P256AES128:            {0x0010, 1, 1, 32, "P-256"},
		X25519ChaCha20:        {0x0020, 1, 3, 32, "Ed25519"},
		P521AES256:            {0x0012, 3, 2, 64, "P-521"},
		P384AES256:            {0x0011, 2, 2, 48, "P-384"},
		XWingAES128:           {0x647a, 1, 1, 32, "Ed25519"},
		XWingAES256:           {0x647a, 2, 2, 48, "Ed25519"},
		MLKEM768P256AES256:    {0x0050, 2, 2, 48, "P-256"},
		MLKEM1024P384AES256:   {0x0051, 2, 2, 48, "P-384"},
		MLKEM768AES256:        {0x0041, 2, 2, 48, "P-256"},
		MLKEM1024AES256:       {0x0042, 2, 2, 48, "P-384"},
		MLKEM768P256AES128:    {0x0050, 1, 1, 32, "P-256"},
		MLKEM768Ed25519AES256: {0x0041, 2, 2, 48, "Ed25519"},
	} {
		s := suites[id]
		var got [3]uint16
		switch m := s.kem.(type) {
		case *dhKEM:
			for i := range got {
				got[i] = binary.BigEndian.Uint16(m.hpkeID[4+2*i:])
			}
		case *stdKEM:
			got = [3]uint16{m.kem.ID(), m.kdf.ID(), m.aead.ID()}
		}
		if got != [3]uint16{want.kem, want.kdf, want.aead} || s.Nh != want.nh {
			t.Errorf("%s: KEM, KDF, AEAD %#x, Nh %d", s.Name, got, s.Nh)
		}
		sig := "Ed25519"
		if e, ok := s.sig.(ecdsaScheme); ok {
			sig = e.curve.Params().Name
		}
		if sig != want.sig {
			t.Errorf("%s: signatures of %s", s.Name, sig)
		}
	}
}
