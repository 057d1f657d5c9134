package demo

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, method, path string) *http.Response {
	t.Helper()
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w.Result()
}

func TestEveryFileOfThePageIsServedUnderThePolicy(t *testing.T) {
	for path, contentType := range map[string]string{
		"/": "text/html", "/demo.css": "text/css", "/demo.js": "text/javascript", "/connection.js": "text/javascript", "/log.js": "text/javascript", "/icon.svg": "image/svg+xml",
	} {
		r := get(t, http.MethodGet, path)
		if r.StatusCode != http.StatusOK || !strings.HasPrefix(r.Header.Get("Content-Type"), contentType) {
			t.Errorf("%s: %s, %s", path, r.Status, r.Header.Get("Content-Type"))
		}
		csp := r.Header.Get("Content-Security-Policy")
		for _, rule := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
			if !strings.Contains(csp+";", rule+";") {
				t.Errorf("%s: the policy lacks %s: %s", path, rule, csp)
			}
		}
		if r.Header.Get("X-Content-Type-Options") != "nosniff" || r.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %v", path, r.Header)
		}
	}
}

func TestNothingElseIsServed(t *testing.T) {
	for _, path := range []string{"/demo.go", "/demo.html", "/index.html", "/../demo.go", "/x"} {
		if r := get(t, http.MethodGet, path); r.StatusCode == http.StatusOK {
			t.Errorf("%s is served", path)
		}
	}
	if r := get(t, http.MethodPost, "/"); r.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST is answered with %s", r.Status)
	}
}

var (
	reference = regexp.MustCompile(`(?:href|src)="([^"]*)"`)
	inline    = regexp.MustCompile(`(?i)<script[^>]*>[^<]|<style|\sstyle=|\son[a-z]+=|javascript:`)
	markup    = regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function`)
)

func TestThePageRefersToItsOwnFilesAloneAndHasNothingInline(t *testing.T) {
	html := read(t, "demo.html")
	found := reference.FindAllStringSubmatch(string(html), -1)
	if len(found) < 3 {
		t.Fatalf("only %d references are found", len(found))
	}
	for _, m := range found {
		if r := get(t, http.MethodGet, "/"+m[1]); r.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", m[1], r.Status)
		}
	}
	if m := inline.Find(html); m != nil {
		t.Errorf("the policy would stop %q", m)
	}
}

func TestWhatOthersSendIsNeverMadeMarkup(t *testing.T) {
	for _, name := range []string{"demo.js", "connection.js", "log.js"} {
		if m := markup.Find(read(t, name)); m != nil {
			t.Errorf("%s uses %s", name, m)
		}
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := files.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
