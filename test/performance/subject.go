package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"time"
)

// subject is what is measured: a way of starting a server.
type subject struct {
	Name     string
	Floor    string        // its -out; "": Sluice
	Ping     time.Duration // heartbeat of the floor; 0: none
	Settings settings
	Env      []string
	Redis    bool  // two nodes on Redis, of which the second has the subscribers
	Load     *load // instead of the scenario's
	Slow     int   // members that never read
	Rooms    int   // held by connections of our own, before the load begins
}

// running is a subject that was started.
type running struct {
	processes  []*process
	watched    []string // NAME=PID
	url        string
	publishURL string // "": url
	keyConfig  string // the file to sign tokens with; "": clients bring none
}

func (r *running) stop() {
	for i := len(r.processes) - 1; i >= 0; i-- {
		r.processes[i].stop()
	}
}

func (r *running) add(p *process) {
	r.processes = append(r.processes, p)
	r.watched = append(r.watched, p.name+"="+strconv.Itoa(p.pid()))
}

// A port may be taken between finding it free and listening on it.
const startAttempts = 3

// start starts a subject, with fresh processes.
func (s *site) start(ctx context.Context, sub *subject) (*running, error) {
	var err error
	for range startAttempts {
		r := &running{}
		if err = s.launch(ctx, sub, r); err == nil {
			return r, nil
		}
		r.stop()
		if ctx.Err() != nil {
			break
		}
	}
	return nil, err
}

func (s *site) launch(ctx context.Context, sub *subject, r *running) error {
	switch {
	case sub.Floor != "":
		return s.launchFloor(ctx, sub, r)
	case sub.Redis:
		return s.launchPair(ctx, sub, r)
	}
	var err error
	r.url, r.keyConfig, err = s.launchNode(ctx, sub, r, serverProcess, nil)
	return err
}

func (s *site) launchFloor(ctx context.Context, sub *subject, r *running) error {
	addr, err := freeAddress()
	if err != nil {
		return err
	}
	args := []string{"-addr", addr, "-accept", "custom", "-out", sub.Floor}
	if sub.Ping > 0 {
		args = append(args, "-ping", sub.Ping.String())
	}
	p, err := startProcess(serverProcess, filepath.Join(s.dir, "floor.log"), sub.Env, s.floor, args...)
	if err != nil {
		return err
	}
	r.add(p)
	r.url = "ws://" + addr + "/ws"
	return p.ready(ctx, addr)
}

// launchNode starts one node. It returns its URL, and its configuration if
// tokens have to be signed with it.
func (s *site) launchNode(ctx context.Context, sub *subject, r *running, name string, broker object) (url, keyConfig string, err error) {
	addr, err := freeAddress()
	if err != nil {
		return "", "", err
	}
	file := filepath.Join(s.dir, name+".yaml")
	if err := writeConfig(file, sub.Settings.document(addr, s.cache, broker)); err != nil {
		return "", "", err
	}
	p, err := startProcess(name, filepath.Join(s.dir, name+".log"), sub.Env, s.sluice, "serve", "--config", file)
	if err != nil {
		return "", "", err
	}
	r.add(p)
	if sub.Settings.signs() {
		keyConfig = file
	}
	return "ws://" + addr + "/ws", keyConfig, p.ready(ctx, addr)
}

// launchPair starts Redis, without persistence, and two nodes on it.
func (s *site) launchPair(ctx context.Context, sub *subject, r *running) error {
	if s.redis == "" {
		return errNoRedis
	}
	addr, err := freeAddress()
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(addr)
	p, err := startProcess(redisProcess, filepath.Join(s.dir, "redis.log"), nil, s.redis,
		"--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", s.dir)
	if err != nil {
		return err
	}
	r.add(p)
	if err := p.ready(ctx, addr); err != nil {
		return err
	}
	broker := object{"broker": "redis", "redis": object{"addresses": []string{addr}}}
	if r.publishURL, _, err = s.launchNode(ctx, sub, r, serverProcess, broker); err != nil {
		return err
	}
	r.url, r.keyConfig, err = s.launchNode(ctx, sub, r, serverProcess+"2", broker)
	return err
}

var errNoRedis = errors.New("redis-server is missing: apt-get install redis-server, or make setup")

// String is for messages.
func (sub *subject) String() string {
	if sub.Floor != "" {
		return fmt.Sprintf("floor %s", sub.Floor)
	}
	return sub.Name
}
