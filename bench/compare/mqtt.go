package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// The little of MQTT 3.1.1 that a sender and a recipient with QoS 1 need. It batches its writes, so that the broker and not the client library is what limits.

const (
	mqttConnect   = 0x10
	mqttConnAck   = 0x20
	mqttPublish   = 0x30
	mqttPubAck    = 0x40
	mqttSubscribe = 0x82
	mqttSubAck    = 0x90
	mqttQoS1      = 0x02 // of the first byte of PUBLISH

	mqttMaxPacket = 1 << 20
	mqttBuffer    = 64 << 10
)

var errMQTT = errors.New("mqtt")

// An mqttConn is a connection, after CONNACK.
type mqttConn struct {
	conn net.Conn
	r    *bufio.Reader
	buf  []byte

	w *bufio.Writer // of one goroutine: the sender, or who receives
}

// dialMQTT connects with a session that outlives the connection (clean session false).
func dialMQTT(ctx context.Context, addr string, trust *tls.Config, id string) (*mqttConn, error) {
	d := tls.Dialer{Config: trust}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &mqttConn{conn: conn, r: bufio.NewReaderSize(conn, mqttBuffer), w: bufio.NewWriterSize(conn, mqttBuffer)}
	body := append(mqttString(nil, "MQTT"), 4, 0, 0, 0) // version 3.1.1; flags: none, so not a clean session; keep-alive: off
	if err := c.exchange(mqttConnect, mqttString(body, id), mqttConnAck, 1); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return c, nil
}

// subscribe asks for a topic with QoS 1.
func (c *mqttConn) subscribe(topic string) error {
	return c.exchange(mqttSubscribe, append(mqttString([]byte{0, 1}, topic), 1), mqttSubAck, 2)
}

// exchange sends a packet and reads its answer, whose last byte must be the granted QoS for SUBACK and 0 for CONNACK.
func (c *mqttConn) exchange(kind byte, body []byte, answer byte, at int) error {
	c.header(kind, len(body))
	_, _ = c.w.Write(body)
	err := c.w.Flush()
	if err != nil {
		return err
	}
	got, b, err := c.next()
	if err != nil {
		return err
	}
	want := byte(0)
	if answer == mqttSubAck {
		want = 1
	}
	if got != answer || len(b) <= at || b[at] != want {
		return fmt.Errorf("%w: packet %#x %x in answer to %#x", errMQTT, got, b, kind)
	}
	return nil
}

// header writes the fixed header. A failure is told by Flush.
func (c *mqttConn) header(kind byte, n int) {
	_ = c.w.WriteByte(kind)
	for ; n >= 0x80; n >>= 7 {
		_ = c.w.WriteByte(byte(n) | 0x80)
	}
	_ = c.w.WriteByte(byte(n))
}

// publish writes a message; flush sends it.
func (c *mqttConn) publish(topic string, id uint16, payload []byte) {
	c.header(mqttPublish|mqttQoS1, 2+len(topic)+2+len(payload))
	var n [2]byte
	binary.BigEndian.PutUint16(n[:], uint16(len(topic)))
	_, _ = c.w.Write(n[:])
	_, _ = c.w.WriteString(topic)
	binary.BigEndian.PutUint16(n[:], id)
	_, _ = c.w.Write(n[:])
	_, _ = c.w.Write(payload)
}

// next reads a packet; its body is good until the next call.
func (c *mqttConn) next() (kind byte, body []byte, err error) {
	kind, err = c.r.ReadByte()
	if err != nil {
		return 0, nil, err
	}
	n := 0
	for shift := 0; ; shift += 7 {
		b, err := c.r.ReadByte()
		if err != nil {
			return 0, nil, err
		}
		n |= int(b&0x7f) << shift
		if n > mqttMaxPacket || shift > 21 {
			return 0, nil, fmt.Errorf("%w: a packet too long", errMQTT)
		}
		if b < 0x80 {
			break
		}
	}
	if cap(c.buf) < n {
		c.buf = make([]byte, n)
	}
	c.buf = c.buf[:n]
	_, err = io.ReadFull(c.r, c.buf)
	return kind, c.buf, err
}

// receive reads messages until the connection ends, and acknowledges each when deliver has returned.
func (c *mqttConn) receive(deliver func(payload []byte)) error {
	for {
		kind, b, err := c.next()
		if err != nil {
			return err
		}
		if kind&0xf0 != mqttPublish || kind&0x06 != mqttQoS1 || len(b) < 2 {
			return fmt.Errorf("%w: packet %#x, want a message with QoS 1", errMQTT, kind)
		}
		at := 2 + int(binary.BigEndian.Uint16(b))
		if len(b) < at+2 {
			return fmt.Errorf("%w: a message cut short", errMQTT)
		}
		deliver(b[at+2:])
		c.header(mqttPubAck, 2)
		_, _ = c.w.Write(b[at : at+2])
		if c.r.Buffered() == 0 {
			if err := c.w.Flush(); err != nil {
				return err
			}
		}
	}
}

func mqttString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}
