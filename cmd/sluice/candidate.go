package main

import (
	"fmt"

	"sluice/plugins"
)

// hasCandidate reports whether a filter has a candidate, or a key of it, as .canary.
func (l *loaded) hasCandidate(filter int, key string) bool {
	_, written := l.Places[fmt.Sprintf("filters[%d].candidate%s", filter, key)]
	return written
}

// candidate checks what is tried out beside a filter.
func (v *validator) candidate(i int) {
	if !v.l.hasCandidate(i, "") {
		return
	}
	path := fmt.Sprintf("filters[%d].candidate", i)
	if v.l.Filters[i].Candidate.Plugin == "" {
		v.fail(path+".plugin", "is missing; write the path of a .wasm, or builtin:NAME")
	}
	v.plugin(path, v.l.Filters[i].Candidate.Plugin, v.l.Filters[i].Candidate.SHA256)
	canary, shadow := v.l.hasCandidate(i, ".canary"), v.l.hasCandidate(i, ".shadow")
	switch {
	case canary && shadow:
		v.fail(path, "has both canary and shadow; try it with shadow first, then with canary")
	case !canary && !shadow:
		v.fail(path, "has neither canary nor shadow; write shadow: 10%% to compare its answers, or canary: 5%% to let it judge")
	}
}

// candidate is what is tried out beside a filter, or nil.
func (l *loaded) candidate(i int) *plugins.Candidate {
	if !l.hasCandidate(i, "") {
		return nil
	}
	f := &l.Filters[i]
	c := &plugins.Candidate{
		Plugin: f.Candidate.Plugin, SHA256: f.Candidate.SHA256, Dir: f.Dir, Config: f.Candidate.Config,
		Role: plugins.RoleShadow, Share: float64(f.Candidate.Shadow),
	}
	if l.hasCandidate(i, ".canary") {
		c.Role, c.Share = plugins.RoleCanary, float64(f.Candidate.Canary)
	}
	return c
}
