package plugin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"sluice/plugins"
)

func (t *tool) buildCommand() *cobra.Command {
	check := false
	cmd := &cobra.Command{
		Use:   "build [DIR...]",
		Short: "Compile filters to .wasm",
		Long: "Compiles the projects in the folders, or the one in the working directory, and puts\n" +
			"what plugin.yaml names as schema, fixtures and meta into the module.",
		RunE: func(cmd *cobra.Command, args []string) error {
			var errs []error
			for _, dir := range folders(args) {
				err := t.build(cmd.Context(), dir, check)
				if ended(cmd.Context()) {
					return errors.New("interrupted")
				}
				errs = append(errs, err)
			}
			return errors.Join(errs...)
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "build elsewhere, and compare with the .wasm that is there, byte for byte")
	return cmd
}

// build builds one project, or compares it.
func (t *tool) build(ctx context.Context, dir string, check bool) error {
	p, err := openProject(dir)
	if err != nil {
		return err
	}
	if check {
		return t.checkBuild(ctx, p)
	}
	wasm, tools, err := t.compile(ctx, p)
	if err != nil {
		return err
	}
	if err := writeAtOnce(p.path(p.Wasm), wasm); err != nil {
		return err
	}
	t.say("built %s: %s, sha256 %.12x…, by %s", p.path(p.Wasm), size(len(wasm)), sha256.Sum256(wasm), list(tools))
	return nil
}

// checkBuild compares what the sources build to with what is there. A toolchain
// that is absent, or another version than the one that built it, is named: it
// could say nothing of the bytes.
func (t *tool) checkBuild(ctx context.Context, p *project) error {
	committed, err := os.ReadFile(p.path(p.Wasm))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	planned, clean, err := t.plan(p, filepath.Join(os.TempDir(), "unused.wasm"))
	var missing *missingTool
	if errors.As(err, &missing) {
		t.say("not compared: %s: %v", p.Dir, missing)
		return nil
	}
	if err != nil {
		return err
	}
	clean()
	for _, f := range planned.tools {
		pin := f.pin
		if own, ok := p.Pins[f.name]; ok {
			pin = own
		}
		if pin != "" && f.version != pin && committed != nil {
			t.say("not compared: %s: %s is here, and %s was built by %s %s", p.Dir, f, p.Wasm, f.name, pin)
			return nil
		}
	}
	wasm, _, err := t.compile(ctx, p)
	if err != nil {
		return err
	}
	if committed == nil {
		t.say("builds: %s (there is none to compare with)", p.path(p.Wasm))
		return nil
	}
	if !bytes.Equal(wasm, committed) {
		return fmt.Errorf("differs: %s is not what its sources build to (%s, built %s); run: sluice plugin build %s",
			p.path(p.Wasm), size(len(committed)), size(len(wasm)), p.Dir)
	}
	t.say("same: %s", p.path(p.Wasm))
	return nil
}

// plan finds the project's toolchain.
func (t *tool) plan(p *project, out string) (*plan, func(), error) {
	cache, clean, err := cacheDir("build", p.Language)
	if err != nil {
		return nil, nil, err
	}
	planned, err := toolchains[p.Language].plan(p, out, cache)
	if err != nil {
		clean()
		return nil, nil, err
	}
	return planned, clean, nil
}

// compile builds the project's module in a temporary folder, completes it and
// makes sure that a node would load it.
func (t *tool) compile(ctx context.Context, p *project) (wasm []byte, tools []found, err error) {
	folder, err := os.MkdirTemp("", "sluice-build-*")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(folder)
	out := filepath.Join(folder, "out.wasm")
	planned, clean, err := t.plan(p, out)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", p.Dir, err)
	}
	defer clean()
	if _, err := os.Stat(p.path(p.Source)); err != nil {
		return nil, nil, fmt.Errorf("%s: source: %w", p.path(manifestName), err)
	}
	for _, step := range planned.steps {
		if err := t.run(ctx, p, planned.env, step); err != nil {
			return nil, nil, err
		}
	}
	if planned.built != "" {
		out = planned.built
	}
	if wasm, err = os.ReadFile(out); err != nil {
		return nil, nil, fmt.Errorf("%s: the compiler left no module: %w", p.Dir, err)
	}
	carried, err := p.carried()
	if err != nil {
		return nil, nil, err
	}
	if wasm, err = plugins.ReplaceSections(wasm, carried...); err != nil {
		return nil, nil, fmt.Errorf("%s: what the compiler made: %w", p.Dir, err)
	}
	if err := plugins.Inspect(wasm).LoadsAs(p.path(p.Wasm)); err != nil {
		return nil, nil, fmt.Errorf("it was built, but no node would load it: %w", err)
	}
	return wasm, planned.tools, nil
}

// run runs a compiler in the project's folder. What it prints is shown if it
// fails, and else on standard error: it may be warnings.
func (t *tool) run(ctx context.Context, p *project, env, step []string) error {
	cmd := exec.CommandContext(ctx, step[0], step[1:]...)
	cmd.Dir = p.Abs
	cmd.Env = environment(env)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %s failed: %v\n%s", p.Dir, filepath.Base(step[0]), err, strings.TrimSpace(string(out)))
	}
	if p.Language == "c" && len(out) > 0 { // the others tell of their progress
		fmt.Fprintln(t.Stderr, strings.TrimSpace(string(out)))
	}
	return nil
}

// writeAtOnce puts a file in place of what is there, so that nobody reads half
// of it.
func writeAtOnce(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

func list(tools []found) string {
	var names []string
	for _, f := range tools {
		names = append(names, f.String())
	}
	return strings.Join(names, ", ")
}

// size is a number of bytes for people.
func size(n int) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d bytes", n)
}
