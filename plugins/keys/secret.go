package keys

import (
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is text that may be, or hold, key material. It prints as [redacted]
// with every verb and encodes as nothing else, also deep within other values.
type Secret struct {
	// A pointer, because fmt calls no method of a value in an unexported field
	// and would print its text: of a pointer within a value it prints the address.
	text *string
}

// NewSecret wraps text; "" is the zero Secret.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{&text}
}

// IsZero reports whether there is no text.
func (s Secret) IsZero() bool { return s.text == nil }

func (s Secret) reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Format prints no text, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) {
	if s.text != nil {
		_, _ = f.Write([]byte(redacted))
	}
}

// MarshalText encodes no text, for JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return fmt.Append(nil, s), nil }

// LogValue logs no text.
func (s Secret) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }
