package redisbroker

import (
	"errors"
	"testing"
)

func TestHealthSaysEachCauseOnceInOneLine(t *testing.T) {
	refused, slow := errors.New("connection refused"), errors.New("no answer in time")
	if err := joined(nil, nil); err != nil {
		t.Errorf("of nothing: %v", err)
	}
	err := joined(nil, refused, errors.New("connection refused"), slow)
	if got := err.Error(); got != "connection refused; no answer in time" {
		t.Errorf("%q", got)
	}
	if !errors.Is(err, refused) || !errors.Is(err, slow) {
		t.Error("the causes are lost")
	}
}
