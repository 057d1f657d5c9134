package config_test

import (
	"strings"
	"testing"

	sluice "sluice/sdk/go"
	"sluice/sdk/go/config"
)

type settings struct {
	Word  string   `json:"word"`
	Max   int      `json:"max"`
	Rooms []string `json:"rooms"`
}

func read(text string) (settings, error) {
	s := settings{Max: 7}
	err := config.Read(sluice.NewEvent(sluice.Input{Hook: sluice.HookConfigure, Payload: text}), &s)
	return s, err
}

func TestAConfigurationFillsAStruct(t *testing.T) {
	s, err := read(`{"word":"spam","rooms":["a","b"]}`)
	if err != nil || s.Word != "spam" || len(s.Rooms) != 2 || s.Max != 7 {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestWhatItDoesNotUnderstandIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		``: "is empty", `{"wrod":1}`: `unknown key "wrod"`, `{"word":7}`: "word must not be a number", `{"max":"7"}`: "max must not be a string",
		`{"max":1.5}`: "max must not be a number 1.5", `{"rooms":{}}`: "rooms must not be an object", `[]`: "the configuration must not be an array",
		`{"word":true}`: "word must not be true or false", `{} {}`: "one JSON value", `{`: "unexpected",
	} {
		if _, err := read(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
