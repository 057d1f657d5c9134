package main

import (
	"net/http"
	"strings"
	"testing"
)

func TestAPageThatRebindsItsNameCannotReadTheCounts(t *testing.T) {
	n := start(t, "allowed_origins: [\"https://chat.example\"]\n")
	for host, want := range map[string]int{
		"evil.example":           http.StatusForbidden,
		"localhost.evil.example": http.StatusForbidden,
		"chat.example":           http.StatusOK,
		"localhost:8080":         http.StatusOK,
		"[::1]":                  http.StatusOK,
	} {
		code, body := n.get(n.clients+"/stats", "Host", host)
		if code != want || code == http.StatusForbidden && !strings.Contains(body, "allowed_origins") {
			t.Errorf("%s: got %d %s, want %d", host, code, body, want)
		}
	}
}
