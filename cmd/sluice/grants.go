package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"sluice/router"
)

// defaultGrants are what default_grants says; nil if it is absent. An empty
// list is not: it grants nothing.
func (l *loaded) defaultGrants() (*router.Grants, error) {
	if _, written := l.Places["default_grants"]; !written {
		return nil, nil
	}
	entries := make([]json.RawMessage, len(l.DefaultGrants))
	for i := range l.DefaultGrants {
		entries[i] = l.grantJSON(i)
	}
	raw, err := json.Marshal(entries)
	if err != nil {
		return nil, err
	}
	// Without a user, ${user} stands for whoever the grants are applied to.
	return router.ParseGrants(raw, "")
}

// grantJSON is an entry as the plugin ABI has it.
func (l *loaded) grantJSON(i int) json.RawMessage {
	entry := map[string]any{"allow": l.DefaultGrants[i].Allow}
	// Written and empty is a mistake, and must not turn into grants without a room.
	if _, written := l.Places[fmt.Sprintf("default_grants[%d].rooms", i)]; written {
		entry["rooms"] = l.DefaultGrants[i].Rooms
	}
	raw, err := json.Marshal(entry)
	if err != nil {
		panic("cmd/sluice: " + err.Error()) // text always has a JSON form
	}
	return raw
}

func (v *validator) grants() {
	before := len(v.errs)
	for i := range v.l.DefaultGrants {
		raw := append(append([]byte("["), v.l.grantJSON(i)...), ']')
		if _, err := router.ParseGrants(raw, ""); err != nil {
			v.fail(fmt.Sprintf("default_grants[%d]", i), "%s", strings.TrimPrefix(err.Error(), "grants[0]: "))
		}
	}
	if len(v.errs) > before {
		return
	}
	if _, err := v.l.defaultGrants(); err != nil {
		v.fail("default_grants", "%v", err)
	}
}
