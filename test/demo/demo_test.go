// Package demo_test opens the demo page in Chromium, against the real
// `sluice serve --dev`.
package demo_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	runTime = 5 * time.Minute // for what takes half a minute on an idle machine
	endTime = 20 * time.Second
)

// What is done and shown is in demo.mjs. CHROMIUM names another
// Chromium; with DEMO_SCREENSHOT=docs/images/demo.png, an absolute path or one
// from here, a picture is taken.
func TestANewcomerChatsInTwoTabsAndSeesWhatIsRefused(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("Node.js 20 or newer is needed; install it, then run: make setup")
	}
	ctx, cancel := context.WithTimeout(t.Context(), runTime)
	defer cancel()
	if out, err := exec.CommandContext(ctx, node, "--input-type=module", "--eval", `import "playwright-core"`).CombinedOutput(); err != nil {
		t.Fatalf("the npm package playwright-core of test/package-lock.json is not installed; run: make setup\n%s", out)
	}
	chromium := os.Getenv("CHROMIUM")
	if chromium == "" {
		chromium = findChromium(t)
	}
	folder := t.TempDir()
	binary := filepath.Join(folder, "sluice")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "sluice/cmd/sluice").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}

	script := exec.CommandContext(ctx, node, "demo.mjs", binary, folder)
	script.Env = append(os.Environ(), "CHROMIUM="+chromium)
	script.Cancel = func() error { return script.Process.Signal(os.Interrupt) } // it ends Chromium and the node
	script.WaitDelay = endTime
	out, err := script.CombinedOutput()
	if err != nil {
		t.Errorf("demo.mjs: %v", err)
	}
	// A script that ended early has not shown anything.
	if !strings.HasSuffix(string(out), "all shown\n") {
		t.Error("demo.mjs did not come to its end")
	}
	t.Logf("%s", out)
}

func findChromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("Chromium is not installed; run: make setup (or name one with CHROMIUM)")
	return ""
}
