package mls

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
)

// checkCertificate says whether the first certificate of an x509 credential is
// for the signature key, R §5.3. Whether the chain is trusted, the
// application's validator decides.
func checkCertificate(c Credential, signatureKey []byte) error {
	if len(c.Chain) == 0 {
		return fmt.Errorf("%w: empty certificate chain", ErrCredential)
	}
	cert, err := x509.ParseCertificate(c.Chain[0])
	if err != nil {
		return fmt.Errorf("%w: %v", ErrCredential, err)
	}
	// All signature schemes of MLS encode their keys as the bit string of the
	// SubjectPublicKeyInfo does: RFC 8410 and RFC 5480.
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		PublicKey asn1.BitString
	}
	if _, err := asn1.Unmarshal(cert.RawSubjectPublicKeyInfo, &info); err != nil {
		return fmt.Errorf("%w: %v", ErrCredential, err)
	}
	if !bytes.Equal(info.PublicKey.RightAlign(), signatureKey) {
		return fmt.Errorf("%w: certificate is for another key", ErrCredential)
	}
	return nil
}
