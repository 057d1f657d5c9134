package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/plugins/capture"
)

// readCapture is the text of a capture.
func readCapture(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestANodeCapturesWhatCanBeReplayedAndNoSecret(t *testing.T) {
	hello, err := filepath.Abs("../../sdk/c/examples/hello/hello.wasm")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "node.capture")
	n := start(t, identityRooms+"capture: {file: "+path+", redact: [/card, nickname]}\n"+authFilter("", "query: [token], ")+
		"  - {name: open, plugin: "+hello+", capabilities: [log], config: {word: spam}, limits: {time: 1s}}\n"+
		"  - {name: closed, plugin: "+hello+", capabilities: [log], config: {word: \"${WORD}\"}, limits: {time: 1s}}\n",
		"KEY="+testSecret, "WORD=planted-word")
	token := good(map[string]any{"nickname": "planted-nickname"})
	c, _, err := n.enter(token)
	if err != nil {
		t.Fatal(err)
	}
	c.await("welcome")
	c.join("chat:1")
	c.send(`{"type":"room_message","room":"chat:1","content":{"card":"planted-card","text":"kept"},"id":1}`)
	c.await("chat")
	c.send(`{"type":"room_message","room":"chat:1","content":"spam","id":2}`)
	c.await("error")
	if conn, response, _ := n.knock("/ws?token="+good(nil), nil, "sluice.v1"); conn == nil {
		t.Fatalf("refused: %d", response.StatusCode)
	} else {
		defer conn.CloseNow()
	}
	n.stop()
	if code := n.wait(); code != 0 {
		t.Fatalf("exit %d", code)
	}

	text := readCapture(t, path)
	leaks(t, "the capture", text, token, good(nil))
	for _, secret := range []string{testSecret, "planted"} {
		if i := strings.Index(text, secret); i >= 0 {
			t.Errorf("a secret: …%s…", text[max(0, i-100):min(len(text), i+100)])
		}
	}
	if !strings.Contains(text, "kept") || !strings.Contains(text, `"why":"stopped"`) {
		t.Errorf("it lacks what it is for:\n%s", text)
	}
	o := capture.ReplayOptions{Old: hello, New: hello, Filter: "open", Show: 5, CacheDir: compiled()}
	r, err := capture.Replay(t.Context(), path, o)
	if err != nil || r.Questions != 2 || r.Differ != 0 || r.Reproduced+r.Excused != 2 || r.Verdicts[1].Old != "deny 422" {
		t.Errorf("%+v %v", r, err)
	}
	o.Filter = "closed"
	if _, err := capture.Replay(t.Context(), path, o); err == nil || !strings.Contains(err.Error(), "give it by --config") {
		t.Errorf("the configuration with a secret is known: %v", err)
	}
}

func TestMistakesOfCaptureAreNamed(t *testing.T) {
	for config, want := range map[string]string{
		"{file: x, max_size: 1KiB}":    "capture.max_size: 1KiB is less than 64KiB",
		"{file: x, for: 0s}":           "capture.for",
		"{file: x, sample: 0%}":        "capture.sample: must be more than 0%",
		"{file: x, redact: [a, /b~3]}": `capture.redact[1]: "/b~3" is not a JSON pointer`,
		"{file: x, redact: [\"\"]}":    "capture.redact[0]: name a claim",
		"{file: absent/x}":             "capture.file: the folder of ",
	} {
		path := filepath.Join(t.TempDir(), "config.yaml")
		text := "listen: 127.0.0.1:0\nadmin: {listen: off}\ncache: off\ncapture: " + config + "\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		if code := Main(t.Context(), []string{"serve", "--config", path}, nil, nil, io.Discard, &stderr); code == 0 || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: exit %d: %s; want %q", config, code, &stderr, want)
		}
	}
}
