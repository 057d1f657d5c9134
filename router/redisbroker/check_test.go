package redisbroker

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/router"
	"sluice/router/redisbroker/redistest"
)

// deaf is a sink that does nothing.
type deaf struct{}

func (deaf) Deliver(*router.Message)   {}
func (deaf) Describe() router.NodeInfo { return router.NodeInfo{} }

// publishOnce publishes to a room, without history.
func publishOnce(b *Broker) error {
	_, err := b.Publish(context.Background(), &router.Message{Kind: router.RoomMessage, ID: "id", Room: "lobby", From: "ann", Content: []byte("1"), Time: 1})
	return err
}

func TestStartRefusesWhatWaitingDoesNotChange(t *testing.T) {
	t.Parallel()
	plain := redistest.Start(t)
	locked := redistest.Start(t)
	client := locked.Client(t)
	for _, args := range [][]any{
		{"acl", "setuser", "all", "on", ">pw", "~*", "&*", "+@all"},
		{"acl", "setuser", "nochannels", "on", ">pw", "~*", "resetchannels", "+@all"},
		{"acl", "setuser", "nokeys", "on", ">pw", "~other:*", "&*", "+@all"},
		{"acl", "setuser", "noscripts", "on", ">pw", "~*", "&*", "+@all", "-@scripting"},
		{"acl", "setuser", "noxadd", "on", ">pw", "~*", "&*", "+@all", "-xadd"},
		{"acl", "setuser", "nosubscribe", "on", ">pw", "~*", "&*", "+@all", "-subscribe"},
		{"config", "set", "requirepass", "default-pw"},
	} {
		if err := client.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	cluster, group := redistest.StartCluster(t, 1, 0), redistest.StartSentinel(t)
	user := func(name, password string) Shard {
		return Shard{Addresses: []string{locked.Addr}, Username: name, Password: password}
	}
	for name, c := range map[string]struct {
		shard Shard
		want  string
	}{
		"a wrong password":        {user("", "secret-x"), "check username and password"},
		"an unknown user":         {user("bob", "secret-x"), "check username and password"},
		"no password":             {user("", ""), "it wants a password"},
		"no channels":             {user("nochannels", "pw"), "&sluice:*"},
		"other keys":              {user("nokeys", "pw"), "~sluice:*"},
		"no scripts":              {user("noscripts", "pw"), "+evalsha"},
		"a missing command":       {user("noxadd", "pw"), "+xadd"},
		"no subscriptions":        {user("nosubscribe", "pw"), "+subscribe"},
		"a database too high":     {Shard{Addresses: []string{plain.Addr}, Database: 99}, "use a lower one"},
		"a Cluster, as one Redis": {Shard{Addresses: cluster.Addrs()}, "use the mode that it runs in"},
		"one Redis, as a Cluster": {Shard{Mode: Cluster, Addresses: []string{plain.Addr}}, "use mode standalone"},
		"a sentinel, as a Redis":  {Shard{Addresses: group.Addrs()[:1]}, "use mode sentinel"},
		"a Redis, as a sentinel":  {Shard{Mode: Sentinel, Addresses: []string{plain.Addr}}, "these addresses are no sentinels"},
		"an unknown group":        {Shard{Mode: Sentinel, Addresses: group.Addrs(), Master: "nobody"}, "do not know a group called nobody"},
		"an old Redis":            {Shard{Addresses: []string{answersHello(t, "6.2.14", "standalone")}}, "its version is 6.2.14; 7 is the oldest"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTestBroker(t, c.shard)
			err := b.Start(deaf{})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), b.home().name) {
				t.Errorf("%v, want %q, and which Redis", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret-x") {
				t.Errorf("the error tells the password: %v", err)
			}
			if err := publishOnce(b); err == nil {
				t.Error("a broker that has not started publishes")
			}
		})
	}
	t.Run("a user who may", func(t *testing.T) {
		b := newTestBroker(t, user("all", "pw"))
		if err := b.Start(deaf{}); err != nil {
			t.Fatal(err)
		}
		if err := publishOnce(b); err != nil {
			t.Error(err)
		}
	})
}

// ruled makes an ACL user of the broker's, with further rules, and gives a shard
// that uses it.
func ruled(t *testing.T, server *redistest.Server, rules ...string) Shard {
	t.Helper()
	args := []any{"acl", "setuser", "node", "on", ">pw", "resetkeys", "~sluice:*", "resetchannels", "&sluice:*"}
	for _, r := range append(strings.Fields(allowed), rules...) {
		args = append(args, r)
	}
	do(t, server.Client(t), args...)
	return Shard{Addresses: []string{server.Addr}, Username: "node", Password: "pw"}
}

func TestTheDocumentedPermissionsAreEnoughAndEachIsChecked(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "resetkeys ~sluice:* resetchannels &sluice:* "+allowed+"\n") {
		t.Errorf("docs/operations.md does not list\n%s", allowed)
	}
	server := redistest.Start(t)
	b := newTestBroker(t, ruled(t, server))
	if err := b.Start(deaf{}); err != nil {
		t.Fatal(err)
	}
	m := &router.Message{Kind: router.RoomMessage, ID: "id", Key: "key", Room: "lobby", From: "ann", Content: []byte("1"), Time: 1, Keep: tenMinutes}
	ann := router.Occupant{Conn: 1, User: "ann"}
	for what, err := range map[string]error{
		"Subscribe": second(b.Subscribe(t.Context(), router.Topic{Name: "lobby"}, tenMinutes)),
		"Publish":   second(b.Publish(t.Context(), m)),
		"History":   second(b.History(t.Context(), "lobby", router.HistoryQuery{Limit: 1})),
		"Enter":     second(b.Enter(t.Context(), "lobby", ann)),
		"Present":   second(b.Present(t.Context(), "lobby", 1, "")),
		"Leave":     second(b.Leave(t.Context(), "lobby", ann)),
		"Nodes":     second(b.Nodes(t.Context())),
		"Rooms":     second(b.Rooms(t.Context(), 1, "")),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	awaitOK(t, func() error { return b.Health(t.Context()) })
	for _, rule := range strings.Fields(allowed)[1:] {
		switch rule {
		case "+auth", "+hello", "+select", "+cluster|slots", "+spublish", "+ssubscribe", "+sunsubscribe", "+pubsub|shardchannels", "+unsubscribe":
			continue // of a Cluster, or another database; or Redis does not ask, or there is nothing to ask
		}
		b := newTestBroker(t, ruled(t, server, "-"+rule[1:]))
		if err := b.Start(deaf{}); err == nil || !strings.Contains(err.Error(), "ACL SETUSER") {
			t.Errorf("without %s: %v", rule, err)
		}
		b.Close()
	}
}

// second is a call's error.
func second[T any](_ T, err error) error { return err }

func TestWhatStartCouldNotCheckIsCheckedWhenRedisComes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--user", "node", "on", ">pw", "~sluice:*", "&sluice:*", "+@all", "-xadd")
	server.Kill()
	b := brokerWith(t, Options{Shards: []Shard{{Addresses: []string{server.Addr}, Username: "node", Password: "pw"}}, MaxReconnect: 50 * time.Millisecond})
	if err := b.Start(deaf{}); err != nil {
		t.Fatal(err)
	}
	server.Restart()
	awaitOK(t, func() error {
		if err := b.Health(t.Context()); err == nil || !strings.Contains(err.Error(), "ACL SETUSER") {
			return fmt.Errorf("health: %v, want the remedy", err)
		}
		return nil
	})
	if err := publishOnce(b); !errors.Is(err, router.ErrUnavailable) {
		t.Errorf("publishing: %v", err)
	}
	do(t, server.Client(t), "acl", "setuser", "node", "+xadd")
	awaitOK(t, func() error { return b.Health(t.Context()) })
	if err := publishOnce(b); err != nil {
		t.Error(err)
	}
}

// answersHello is the address of something that says of itself to be a Redis of
// this version.
func answersHello(t *testing.T, version, mode string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for lines := bufio.NewScanner(c); lines.Scan(); {
					switch strings.ToLower(lines.Text()) {
					case "hello":
						fmt.Fprintf(c, "*6\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$%d\r\n%s\r\n$4\r\nmode\r\n$%d\r\n%s\r\n", len(version), version, len(mode), mode)
					case "del", "ping":
						fmt.Fprint(c, "+OK\r\n")
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

func TestStartWithoutRedisSucceedsAndHealthNamesIt(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Kill()
	for name, shard := range map[string]Shard{
		"one Redis": {Addresses: []string{server.Addr}},
		"sentinels": {Mode: Sentinel, Addresses: []string{server.Addr}},
		"a Cluster": {Mode: Cluster, Addresses: []string{server.Addr}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTestBroker(t, shard)
			if err := b.Start(deaf{}); err != nil {
				t.Fatal(err)
			}
			if err := b.Health(t.Context()); err == nil || !strings.Contains(err.Error(), b.home().name) {
				t.Errorf("health: %v, want the name of the shard", err)
			}
			if err := publishOnce(b); !errors.Is(err, router.ErrUnavailable) || strings.Contains(err.Error(), "may have been") {
				t.Errorf("publishing: %v, want that it is unavailable for a time", err)
			}
		})
	}
}

func TestABrokerThatStartedWithoutRedisFindsIt(t *testing.T) {
	server := redistest.Start(t)
	server.Kill()
	b := brokerWith(t, Options{Shards: []Shard{{Addresses: []string{server.Addr}}}, MaxReconnect: 200 * time.Millisecond})
	if err := b.Start(deaf{}); err != nil {
		t.Fatal(err)
	}
	server.Restart()
	awaitOK(t, func() error { return b.Health(t.Context()) })
	if err := publishOnce(b); err != nil {
		t.Error(err)
	}
}

func TestABrokerThatStartedWithoutItsClusterFindsIt(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 1, 0)
	c.Nodes[0].Kill()
	b := brokerWith(t, Options{Shards: []Shard{{Mode: Cluster, Addresses: c.Addrs()}}, MaxReconnect: 200 * time.Millisecond})
	if err := b.Start(deaf{}); err != nil {
		t.Fatal(err)
	}
	c.Nodes[0].Restart()
	awaitOK(t, func() error { return b.Health(t.Context()) })
	if err := publishOnce(b); err != nil {
		t.Error(err)
	}
}

func TestHealthNamesTheShardThatIsAway(t *testing.T) {
	one, other := redistest.Start(t), redistest.Start(t)
	b := brokerWith(t, Options{Shards: []Shard{{Name: "first", Addresses: []string{one.Addr}}, {Name: "second", Addresses: []string{other.Addr}}},
		ProbeInterval: 100 * time.Millisecond})
	if err := b.Start(deaf{}); err != nil {
		t.Fatal(err)
	}
	awaitOK(t, func() error { return b.Health(t.Context()) })
	other.Kill()
	awaitOK(t, func() error {
		err := b.Health(t.Context())
		if err == nil || !strings.Contains(err.Error(), "redis second:") || strings.Contains(err.Error(), "first") {
			return fmt.Errorf("health: %v", err)
		}
		return nil
	})
}

func TestTLSIsVerifiedAndUsed(t *testing.T) {
	dir := t.TempDir()
	pool := certificate(t, dir, "redis.test")
	l, err := net.Listen("tcp", "127.0.0.1:0") // a port that is free, for a moment
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(address)
	redistest.Start(t, "--tls-port", port, "--tls-cert-file", filepath.Join(dir, "cert.pem"), "--tls-key-file", filepath.Join(dir, "key.pem"),
		"--tls-ca-cert-file", filepath.Join(dir, "cert.pem"), "--tls-auth-clients", "no")
	for name, c := range map[string]struct {
		config *tls.Config
		want   string
	}{
		"the right name":       {&tls.Config{RootCAs: pool, ServerName: "redis.test"}, ""},
		"another name":         {&tls.Config{RootCAs: pool, ServerName: "other.test"}, "the authority that signed"},
		"an unknown authority": {&tls.Config{RootCAs: x509.NewCertPool(), ServerName: "redis.test"}, "the authority that signed"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTestBroker(t, Shard{Addresses: []string{address}, TLS: c.config})
			err := b.Start(deaf{})
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, want %q", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := publishOnce(b); err != nil {
				t.Error(err)
			}
			awaitOK(t, func() error { return b.Health(t.Context()) })
		})
	}
}

// certificate writes one that has signed itself.
func certificate(t *testing.T, dir, name string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return pool
}
