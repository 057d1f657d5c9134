package plugins

import (
	"encoding/json"
	"fmt"
	"strings"
)

// defaults is what a bundled filter asks for, in its custom section
// sluice.meta. A module from a file asks in vain: there, the configuration
// alone decides what it sees and may do.
type defaults struct {
	Headers      []string `json:"headers"`
	Query        []string `json:"query"`
	Cookies      []string `json:"cookies"`
	Capabilities []string `json:"capabilities"`

	// Lookup says that the filter is of no use without one.
	Lookup bool `json:"lookup"`
}

// complete fills in what the settings of a bundled filter do not name. A list
// that is there and empty is named: it is none.
func (s *settings) complete(m *module) error {
	if !strings.HasPrefix(s.Plugin, builtinPrefix) || len(m.meta) == 0 {
		return nil
	}
	var d defaults
	if err := json.Unmarshal(m.meta, &d); err != nil {
		return fmt.Errorf("its section sluice.meta cannot be read: %w", err)
	}
	if d.Lookup && s.Lookup == nil {
		return refuse("add a lookup to its entry, as its README shows: lookup: {http: {url: ..., method: POST}}",
			"it decides by what a lookup finds, and its entry has none")
	}
	if s.Headers == nil {
		for _, name := range d.Headers {
			s.Headers = append(s.Headers, strings.ToLower(name))
		}
	}
	if s.Query == nil {
		s.Query = d.Query
	}
	if s.Cookies == nil {
		s.Cookies = d.Cookies
	}
	if s.Capabilities == nil {
		granted, err := parseCapabilities(d.Capabilities)
		if err != nil {
			return fmt.Errorf("its section sluice.meta: %w", err)
		}
		s.caps |= granted
	}
	return nil
}
