package main

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"time"
)

// object is a part of Sluice's configuration. It is written as JSON, which is
// YAML as well.
type object = map[string]any

// The filters of the runs, and what they are configured with. The policy that
// the aims are about is auth at connect, and the three others on every message.
const secret = "no-secret-0123456789abcdef0123456789abcdef"

func authFilter() object {
	return object{
		"name": "auth", "plugin": "builtin:auth",
		"keys":   []object{{"alg": "HS256", "secret": secret}},
		"config": object{"issuer": "https://id.example.org"},
	}
}

func validateFilter(most int) object {
	return object{
		"name": "validate", "plugin": "builtin:validate",
		"config": object{"schema": object{"type": "string", "minLength": 1, "maxLength": most}},
	}
}

func sizeFilter(most int) object {
	return object{"name": "size", "plugin": "builtin:size", "config": object{"max_bytes": most}}
}

func wordsFilter() object {
	return object{"name": "words", "plugin": "builtin:words", "config": object{"words": []string{"forbidden", "casino"}}}
}

func named(name string, filter object) object {
	f := maps.Clone(filter)
	f["name"] = name
	return f
}

// fullPolicy is auth and the three filters of the aims.
func fullPolicy() []object {
	return []object{authFilter(), validateFilter(4096), sizeFilter(4096), wordsFilter()}
}

// settings are what a run changes of a node's configuration.
type settings struct {
	Filters []object
	Limits  object
	Rooms   object        // beside match and announce
	Ping    time.Duration // heartbeat; 0: the default
}

// signs reports whether clients have to bring tokens.
func (s *settings) signs() bool {
	return slices.ContainsFunc(s.Filters, func(f object) bool { return f["plugin"] == "builtin:auth" })
}

// document is the whole configuration of a node. Joins are not announced: the
// floor does not, and it would be measured as a cost of joining.
func (s *settings) document(listen, cache string, broker object) object {
	limits := object{"connections_per_user": 0}
	maps.Copy(limits, s.Limits)
	room := object{"match": "**", "announce": "off"}
	maps.Copy(room, s.Rooms)
	d := object{
		"listen": listen, "admin": object{"listen": "off"}, "announce_connections": "off", "cache": cache,
		"log": object{"level": "warn"}, "shutdown": object{"drain": "0s"},
		"limits": limits, "rooms": []object{room},
	}
	if len(s.Filters) > 0 {
		d["filters"] = s.Filters
	}
	if s.Ping > 0 { // the default wait for the answer is 8s, and none may be longer than the ping's period
		d["heartbeat"] = object{"ping": s.Ping.String(), "pong": min(s.Ping, 8*time.Second).String()}
	}
	maps.Copy(d, broker)
	return d
}

func writeConfig(file string, document object) error {
	text, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}
