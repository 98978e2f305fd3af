package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// mosquitto is Debian's package of that name: QoS 1, sessions that outlive their connections, TLS.
type mosquitto struct{}

func (mosquitto) name() string { return "mosquitto" }

func (mosquitto) guarantee() string {
	return "in memory (to disk every 30 min and at the end)"
}

// mosquittoConf lifts the limits that would drop messages or hold them back; the rest are the defaults, with persistence.
const mosquittoConf = `listener %d 127.0.0.1
certfile %s
keyfile %s
user %s
allow_anonymous true
persistence true
persistence_location %s/
max_inflight_messages 0
max_queued_messages 0
set_tcp_nodelay true
connection_messages false
log_dest stderr
log_type error
log_type warning
log_type information
`

type mosquittoBroker struct {
	*process
	addr  string
	trust *tls.Config

	mu    sync.Mutex
	conns []*mqttConn
}

// findMosquitto also looks where Debian puts daemons, which is not in every user's PATH.
func findMosquitto() (string, error) {
	for _, name := range []string{"mosquitto", "/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("mosquitto: %w: on Debian, apt-get install mosquitto (and stop the service that this starts)", errMissing)
}

func (mosquitto) start(ctx context.Context, dir string, _ *config) (broker, error) {
	path, err := findMosquitto()
	if err != nil {
		return nil, err
	}
	cert, key, trust, err := newCertificate(dir)
	if err != nil {
		return nil, err
	}
	me, err := user.Current() // else, started by root, it becomes a user who cannot read dir
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(dir, "mosquitto.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, mosquittoConf, port, cert, key, me.Username, dir), 0o600); err != nil {
		return nil, err
	}
	p, _, err := launch(ctx, exec.Command(path, "-c", conf), func(line string) string {
		if strings.HasSuffix(line, " running") {
			return line
		}
		return ""
	})
	if err != nil {
		return nil, err
	}
	return &mosquittoBroker{process: p, addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), trust: trust}, nil
}

// freePort is a port that was free a moment ago: mosquitto cannot choose one itself.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (b *mosquittoBroker) dial(ctx context.Context, id string) (*mqttConn, error) {
	c, err := dialMQTT(ctx, b.addr, b.trust, id)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	b.conns = append(b.conns, c)
	b.mu.Unlock()
	return c, nil
}

func (b *mosquittoBroker) subscribe(ctx context.Context, topic, member int, deliver func([]byte), fail func(error)) error {
	c, err := b.dial(ctx, fmt.Sprintf("r%d-%d", topic, member))
	if err != nil {
		return err
	}
	if err := c.subscribe(topicName(topic)); err != nil {
		return err
	}
	go func() { fail(c.receive(deliver)) }()
	return nil
}

func topicName(topic int) string { return "t" + strconv.Itoa(topic) }

func (b *mosquittoBroker) publisher(ctx context.Context, topic int, acked func(int), fail func(error)) (publisher, error) {
	c, err := b.dial(ctx, fmt.Sprintf("s%d", topic))
	if err != nil {
		return nil, err
	}
	go func() {
		for id := uint16(1); ; id = nextID(id) {
			kind, body, err := c.next()
			if err == nil && (kind != mqttPubAck || len(body) != 2 || uint16(body[0])<<8|uint16(body[1]) != id) {
				err = fmt.Errorf("%w: packet %#x %x, want the acknowledgement of %d", errMQTT, kind, body, id)
			}
			if err != nil {
				fail(err)
				return
			}
			acked(1)
		}
	}()
	return &mqttPublisher{conn: c, topic: topicName(topic), id: 1}, nil
}

type mqttPublisher struct {
	conn  *mqttConn
	topic string
	id    uint16 // of the next message
}

func nextID(id uint16) uint16 { return max(1, id+1) } // 0 is none

func (p *mqttPublisher) publish(batch [][]byte) error {
	for _, m := range batch {
		p.conn.publish(p.topic, p.id, m)
		p.id = nextID(p.id)
	}
	return p.conn.w.Flush()
}

func (b *mosquittoBroker) stop() error {
	b.mu.Lock()
	for _, c := range b.conns {
		_ = c.conn.Close()
	}
	b.mu.Unlock()
	err := b.process.stop()
	if err == nil && !b.cmd.ProcessState.Success() {
		err = errors.New(b.lastLines())
	}
	return err
}
