package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"sluice/router/redisbroker"
)

func TestTheOlderFormOfTheBrokersKeysIsRead(t *testing.T) {
	l := mustLoad(t, "broker: {type: memory}\n")
	if l.Broker != "embedded" {
		t.Errorf("got %s", l.Broker)
	}
	l = mustLoad(t, "broker:\n  type: redis\n  redis: {addresses: [\"a:1\"], database: 2}\n")
	if l.Broker != "redis" || !reflect.DeepEqual(l.Redis.Addresses, []string{"a:1"}) || l.Redis.Database != 2 {
		t.Errorf("got %s, %+v", l.Broker, l.Redis)
	}
	_, err := loadText(t, "broker:\n  type: redis\n  redis: {addresses: [\"a:1\"]}\nredis: {prefix: x}\n")
	if got := errorText(err); !strings.Contains(got, "redis: the key stands twice") {
		t.Errorf("got %s", got)
	}
}

func TestVariablesAndFilesNameTheRedis(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("password", []byte("hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := load(sources{Env: []string{
		"SLUICE_BROKER=redis", "SLUICE_REDIS_MODE=cluster", "SLUICE_REDIS_ADDRESSES=a:1,b:2", "SLUICE_REDIS_PASSWORD=file:password", "SLUICE_REDIS_TLS_ENABLED=true",
	}})
	if err != nil {
		t.Fatal(err)
	}
	o, err := l.redisOptions("n1", slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Shards) != 1 || o.NodeID != "n1" || o.Shards[0].TLS == nil {
		t.Fatalf("got %+v", o)
	}
	s := o.Shards[0]
	if s.Mode != redisbroker.Cluster || s.Password != "hush" || !reflect.DeepEqual(s.Addresses, []string{"a:1", "b:2"}) {
		t.Errorf("got %+v", s)
	}
}

func TestWhatTheConfigurationAllowsTheBrokerTakes(t *testing.T) {
	for _, keys := range []string{
		"", ", partitions: 1, queue_messages: 1, queue_bytes: 1MiB, batch: 1, workers: 1, worker_queue: 1, timeout: 1ms, probe_interval: 100ms, presence_ttl: 1s, unsubscribe_delay: 1ms, max_reconnect: 1ms",
		", partitions: 16384, queue_messages: 16777216, queue_bytes: 16GiB, batch: 65536, workers: 1024, worker_queue: 1048576",
		", prefix: \"Az09_.:-" + strings.Repeat("x", 56) + "\"", ", mode: sentinel", ", mode: cluster", ", database: 65536",
	} {
		l := mustLoad(t, redisWith(`addresses: ["127.0.0.1:1"]`+keys))
		o, err := l.redisOptions("n1", slog.Default())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := redisbroker.New(o); err != nil {
			t.Errorf("%s: %v", keys, err)
		}
	}
}

// identity writes a certificate for 127.0.0.1 and its key, signed by themselves.
func identity(t *testing.T, dir string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "sluice test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestARenewedCertificateIsTakenForTheNextConnection(t *testing.T) {
	dir := t.TempDir()
	identity(t, dir, 1)
	path := filepath.Join(dir, "config.yaml")
	text := redisWith(`addresses: ["127.0.0.1:1"], tls: {enabled: true, ca: cert.pem, cert: cert.pem, key: key.pem}`)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := load(sources{File: path})
	if err != nil {
		t.Fatal(err)
	}
	o, err := l.redisOptions("n1", slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	serial := func() int64 {
		pair, err := o.Shards[0].TLS.GetClientCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return pair.Leaf.SerialNumber.Int64()
	}
	if serial() != 1 {
		t.Errorf("it shows certificate %d", serial())
	}
	identity(t, dir, 2)
	if serial() != 2 {
		t.Errorf("it shows certificate %d after it was renewed", serial())
	}
	if err := os.WriteFile(filepath.Join(dir, "key.pem"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if serial() != 1 {
		t.Errorf("it shows certificate %d while the files do not belong together", serial())
	}
}

func TestNoPasswordIsShownWithAConfiguration(t *testing.T) {
	l := mustLoad(t, redisWith(`mode: sentinel, addresses: ["127.0.0.1:1"], password: hush1, sentinel_password: hush2`))
	if text := fmt.Sprintf("%+v %v %#v", l.Config, l.Redis, l.Redis.RedisConnection); strings.Contains(text, "hush") {
		t.Errorf("got %s", text)
	}
}
