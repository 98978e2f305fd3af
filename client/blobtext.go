package client

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// blobPrefix begins the printed form of a BlobRef.
const blobPrefix = "qnpb1"

// blobText is base64 that fits a command line and an address, without padding, and with one form for each reference.
var blobText = base64.RawURLEncoding.Strict()

// MarshalText is r as people pass it on: qnpb1 and 96 characters of base64url. Whoever reads it can read the blob. It does not fail.
func (r BlobRef) MarshalText() ([]byte, error) {
	b, err := r.MarshalBinary()
	return blobText.AppendEncode([]byte(blobPrefix), b), err
}

// UnmarshalText reads what MarshalText made. Errors: ErrBlob.
func (r *BlobRef) UnmarshalText(text []byte) error {
	rest, ok := strings.CutPrefix(string(text), blobPrefix)
	b, err := blobText.DecodeString(rest)
	if !ok || err != nil {
		return fmt.Errorf("%w: no reference to a blob, which begins with %s", ErrBlob, blobPrefix)
	}
	return r.UnmarshalBinary(b)
}
