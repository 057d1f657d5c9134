package main

import "time"

// RedisConfig is the Redis that nodes meet on, where broker is redis. One
// deployment stands in the section itself; several stand in shards.
type RedisConfig struct {
	RedisConnection `koanf:",squash"`

	Shards []RedisConnection `koanf:"shards"`

	Prefix           string        `koanf:"prefix" default:"sluice" unit:"text" doc:"what every key and channel begins with; nodes of one prefix are one system"`
	Partitions       int           `koanf:"partitions" default:"128" unit:"number" doc:"of a Cluster: hash tags that rooms are spread over; the same on every node"`
	Timeout          time.Duration `koanf:"timeout" default:"5s" doc:"time for one call of Redis"`
	ProbeInterval    time.Duration `koanf:"probe_interval" default:"5s" doc:"time between two messages of a node to itself; a subscription that delivers none is replaced within two"`
	PresenceTTL      time.Duration `koanf:"presence_ttl" default:"60s" doc:"time after which what a node that died said of presence is gone; refreshed at a third of it"`
	UnsubscribeDelay time.Duration `koanf:"unsubscribe_delay" default:"1s" doc:"time for which a room's subscription is kept after its last member on the node has left"`
	MaxReconnect     time.Duration `koanf:"max_reconnect" default:"5s" doc:"longest wait between two attempts to connect"`
	QueueMessages    int           `koanf:"queue_messages" default:"16384" unit:"calls" doc:"calls that may wait for one deployment; beyond it senders get a temporary error"`
	QueueBytes       Size          `koanf:"queue_bytes" default:"64MiB" doc:"what these calls may take"`
	Batch            int           `koanf:"batch" default:"512" unit:"calls" doc:"most calls that leave in one pipeline"`
	Workers          int           `koanf:"workers" default:"16" unit:"goroutines" doc:"goroutines that deliver what comes from one deployment; a room has one of them"`
	WorkerQueue      int           `koanf:"worker_queue" default:"4096" unit:"messages" doc:"messages that may wait for one of them; rooms that lose some are caught up, or told"`
}

// RedisConnection is one deployment of Redis.
type RedisConnection struct {
	Addresses        []string       `koanf:"addresses" unit:"host:port" doc:"of the Redis; of the sentinels; or of some nodes of the Cluster"`
	Mode             string         `koanf:"mode" default:"standalone" enum:"standalone,sentinel,cluster" doc:"what the addresses are"`
	Name             string         `koanf:"name" unit:"name" doc:"what errors and metrics call it, and what rooms are spread by among shards; \"\": made of its addresses"`
	Master           string         `koanf:"master" unit:"name" doc:"of sentinels: the name of the group that they watch; \"\": mymaster"`
	Username         string         `koanf:"username" unit:"name" doc:"the node's user, of an access control list"`
	Password         secretText     `koanf:"password" unit:"secret" doc:"its password"`
	SentinelUsername string         `koanf:"sentinel_username" unit:"name" doc:"the node's user towards the sentinels"`
	SentinelPassword secretText     `koanf:"sentinel_password" unit:"secret" doc:"its password"`
	Database         int            `koanf:"database" default:"0" unit:"number" doc:"the database; a Cluster has only 0"`
	TLS              RedisTLSConfig `koanf:"tls"`
}

// RedisTLSConfig is how a node and Redis know each other.
type RedisTLSConfig struct {
	Enabled    bool       `koanf:"enabled" doc:"connect by TLS, to the sentinels as well"`
	CA         string     `koanf:"ca" unit:"PEM or path" doc:"certificates of the authorities that are trusted; \"\": those of the system"`
	Cert       string     `koanf:"cert" unit:"PEM or path" doc:"the node's own certificate, where Redis asks for one"`
	Key        secretText `koanf:"key" unit:"secret" doc:"its private key, as PEM or the path of a file with it"`
	ServerName string     `koanf:"server_name" unit:"name" doc:"the name that Redis's certificate has to have; \"\": the host of the address"`
}
