package suite

import "quicnprotochat/mls/internal/codec"

// info begins KeySchedule, RFC 9180 §5.1, as far as it is the same for all
// recipients.
func (m *dhKEM) info(label string, context []byte) Info {
	head := make([]byte, 0, 64)
	head = codec.AppendLength(head, len(prefix)+len(label))
	head = append(append(head, prefix...), label...)
	return m.schedule(codec.AppendLength(head, len(context)), context)
}

func (m *dhKEM) schedule(head, rest []byte) Info {
	hash := m.suite.streamMAC(nil, []byte(hpkeVersion), m.hpkeID, []byte("info_hash"), head, rest)
	return Info{schedule: append(append([]byte{0}, m.pskID...), hash...)}
}

func (m *dhKEM) seal(pub []byte, info Info, plaintext []byte) ([]byte, []byte, error) {
	enc, shared, err := m.encap(pub)
	if err != nil {
		return nil, nil, err
	}
	key, nonce := m.keys(shared, info)
	ct := m.suite.Seal(key, nonce, nil, plaintext)
	clear(key)
	return enc, ct, nil
}

func (m *dhKEM) open(priv *PrivateKey, enc []byte, info Info, ciphertext []byte) ([]byte, error) {
	shared, err := m.decap(priv, enc)
	if err != nil {
		return nil, err
	}
	key, nonce := m.keys(shared, info)
	p, err := m.suite.Open(key, nonce, nil, ciphertext)
	clear(key)
	return p, err
}

// keys ends KeySchedule for one message, the first and only one of its key: its
// nonce is base_nonce. It wipes the shared secret.
func (m *dhKEM) keys(shared []byte, info Info) (key, nonce []byte) {
	secret := m.extract(m.hpkeID, shared, "secret", nil)
	clear(shared)
	key = m.expand(m.hpkeID, secret, "key", info.schedule, m.suite.Nk)
	nonce = m.expand(m.hpkeID, secret, "base_nonce", info.schedule, m.suite.Nn)
	clear(secret)
	return key, nonce
}

// exporter ends KeySchedule for exported secrets. It wipes the shared secret.
func (m *dhKEM) exporter(shared []byte, info Info) []byte {
	secret := m.extract(m.hpkeID, shared, "secret", nil)
	clear(shared)
	exporter := m.expand(m.hpkeID, secret, "exp", info.schedule, m.suite.Nh)
	clear(secret)
	return exporter
}

// export is Context.Export, RFC 9180 §5.3.
func (m *dhKEM) export(exporter []byte, context string, n int) []byte {
	return m.expand(m.hpkeID, exporter, "sec", []byte(context), n)
}

// exportOnce exports the secret of an external init. It wipes the shared secret.
func (m *dhKEM) exportOnce(shared []byte, n int) []byte {
	exporter := m.exporter(shared, m.schedule(nil, nil))
	secret := m.export(exporter, exportLabel, n)
	clear(exporter)
	return secret
}

func (m *dhKEM) exportSend(pub []byte, n int) ([]byte, []byte, error) {
	enc, shared, err := m.encap(pub)
	if err != nil {
		return nil, nil, err
	}
	return enc, m.exportOnce(shared, n), nil
}

func (m *dhKEM) exportReceive(priv *PrivateKey, enc []byte, n int) ([]byte, error) {
	shared, err := m.decap(priv, enc)
	if err != nil {
		return nil, err
	}
	return m.exportOnce(shared, n), nil
}
