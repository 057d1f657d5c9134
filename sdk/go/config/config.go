// Package config reads a filter's configuration into a struct, by
// encoding/json. That makes a module 1.4 MB larger, so it is a package of its
// own: a filter that wants to stay small reads its configuration with
// sluice.ReadJSON.
package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	sluice "sluice/sdk/go"
)

// Read reads the configuration of an on_configure event into a struct, whose
// fields may have their defaults in it already. Unknown keys are refused, and
// the error is fit to be shown to whoever wrote the configuration:
//
//	if err := config.Read(e, &settings); err != nil {
//		return e.Deny(sluice.Invalid, err.Error())
//	}
func Read(e *sluice.Event, into any) error {
	d := json.NewDecoder(bytes.NewReader(e.Payload()))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return explain(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the configuration has to be one JSON value")
	}
	return nil
}

// explain says the errors that configurations have without the words of Go.
func explain(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		if wrong.Field == "" {
			return errors.New("the configuration must not be " + article(wrong.Value))
		}
		return errors.New(wrong.Field + " must not be " + article(wrong.Value))
	}
	if errors.Is(err, io.EOF) {
		return errors.New("the configuration is empty")
	}
	if text, ok := bytes.CutPrefix([]byte(err.Error()), []byte("json: unknown field ")); ok {
		return errors.New("unknown key " + string(text))
	}
	return err
}

func article(kind string) string {
	switch kind {
	case "array", "object":
		return "an " + kind
	case "bool":
		return "true or false"
	}
	return "a " + kind
}
