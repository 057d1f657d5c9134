package plugin

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/plugins"
	"sluice/plugins/capture"
	"sluice/router"
)

const helloC = "../../../sdk/c/examples/hello/hello.wasm"

// captured is a capture of what hello says to the texts.
func captured(t *testing.T, private bool, texts ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "node.capture")
	quiet := slog.New(slog.DiscardHandler)
	c, err := capture.Start(capture.Options{File: path, For: time.Hour, MaxSize: 1 << 20, Sample: 1, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	h, err := plugins.NewHost(plugins.HostOptions{Recorder: c, Log: quiet, Lanes: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close(context.Background())
	chain, err := h.Build(t.Context(), []plugins.Spec{{
		Name: "hello", Plugin: helloC, Capabilities: []string{"log"}, Config: json.RawMessage(`{"word":"spam"}`), PrivateConfig: private, Time: plugins.MaxTime,
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer chain.Retire()
	states := new([]router.State)
	for i, text := range texts {
		e := &router.Event{
			Hook: router.HookMessage, Kind: router.KindRoom, Time: time.Now().UnixNano(), Conn: 1, Seq: uint64(i + 1), Room: "r", User: "ada",
			Payload: []byte(text), States: states,
		}
		if err := chain.Judge(e); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheExitCodeOfReplaySaysWhetherTheModulesDiffer(t *testing.T) {
	path := captured(t, false, `"buy spam"`, `"buy ham"`, `"secretive text"`)
	if out := must(t, "replay", path, "--against", helloC, helloC); !strings.Contains(out, "filter hello: 3 questions, no difference\n") {
		t.Error(out)
	}
	out := fails(t, exitFailed, "replay", path, "--against", helloC, helloC, "--new-config", file(t, "word: ham\n"))
	if !strings.Contains(out, "3 questions, 2 differences") || !strings.Contains(out, "continue -> deny 422") || strings.Contains(out, "secretive") || strings.Contains(out, "buy") {
		t.Error(out)
	}
	var report capture.Report
	out = fails(t, exitFailed, "replay", path, "--against", helloC, helloC, "--new-config", file(t, "word: ham\n"), "--json", "--show", "1")
	if err := json.Unmarshal([]byte(out), &report); err != nil || report.Differ != 2 || len(report.First) != 1 || report.Questions != 3 {
		t.Errorf("%v\n%s", err, out)
	}
	for want, args := range map[string][]string{
		"--against is missing":                {path, helloC},
		"name a capture and the new module":   {path},
		"absent.capture":                      {"absent.capture", "--against", helloC, helloC},
		"absent.wasm":                         {path, "--against", "absent.wasm", helloC},
		"it is not a capture":                 {helloC, "--against", helloC, helloC},
		`no question to a filter "other"`:     {path, "--against", helloC, helloC, "--filter", "other"},
		"it lacks the key word":               {path, "--against", helloC, helloC, "--new-config", file(t, "{}")},
		"unknown flag":                        {path, "--agianst", helloC, helloC},
		"there is no built-in filter":         {path, "--against", "builtin:nothing", helloC},
		"name the filter by --filter":         {path, "--against", helloC, helloC, "--config", file(t, "filters: [{name: hello, config: {word: spam}}]")},
		"which are not read here: write what": {path, "--against", helloC, helloC, "--config", file(t, "word: ${WORD}")},
		`it has no filter "hello"`:            {path, "--against", helloC, helloC, "--filter", "hello", "--config", file(t, "filters: [{name: size}]")},
		"absent.yaml":                         {path, "--against", helloC, helloC, "--config", "absent.yaml"},
	} {
		if out := fails(t, exitUsage, append([]string{"replay"}, args...)...); !strings.Contains(out, want) {
			t.Errorf("%v: %s; want %q", args, out, want)
		}
	}
}

func TestAConfigurationThatIsNotCapturedIsGivenToReplay(t *testing.T) {
	path := captured(t, true, `"buy spam"`)
	if out := fails(t, exitUsage, "replay", path, "--against", helloC, helloC); !strings.Contains(out, "give it by --config") {
		t.Error(out)
	}
	for _, config := range []string{
		"word: spam", `{"word":"spam"}`, "filters:\n  - {name: size, plugin: x}\n  - {name: hello, config: {word: spam}}\n",
		`{"filters":[{"name":"hello","config":{"word":"spam"}}]}`,
	} {
		if out := must(t, "replay", path, "--against", helloC, helloC, "--filter", "hello", "--config", file(t, config)); !strings.Contains(out, "deny 422  -> deny 422") {
			t.Errorf("%s: %s", config, out)
		}
	}
}
