package plugin

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// Options are what the commands need of the command that they are part of.
type Options struct {
	Stdout, Stderr io.Writer
	Env            []string // as os.Environ has it: SLUICE_ADMIN_TOKEN
	Builtins       fs.FS    // the bundled filters, as plugins.HostOptions has them
	SDK            fs.FS    // the sources of the SDKs, <language>/…

	// RegistryPasswords is as source.Options.Credentials.
	RegistryPasswords string
}

// The exit codes of `sluice plugin test`, for CI.
const (
	exitFailed = 1 // a test failed
	exitUsage  = 2 // the command line or a fixture is wrong, or there is nothing to run
)

// ExitError ends the command with a code of its own. Err is printed before, nil
// if everything has been said.
type ExitError struct {
	Code int
	Err  error
}

func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit %d", e.Code)
	}
	return e.Err.Error()
}

func (e *ExitError) Unwrap() error { return e.Err }

// tool is what the commands share.
type tool struct {
	Options
}

func (t *tool) say(format string, args ...any) { fmt.Fprintf(t.Stdout, format+"\n", args...) }

// env is the value of a variable.
func (t *tool) env(name string) string {
	for _, entry := range t.Env {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// Command is `sluice plugin`.
func Command(o Options) *cobra.Command {
	t := &tool{o}
	root := &cobra.Command{
		Use:   "plugin",
		Short: "Write filters: new, build, test, bench, fuzz, inspect, dev, sign, verify, replay",
		Long: "Makes, builds and tests filters. A filter's project is a folder with a plugin.yaml;\n" +
			"`sluice plugin new` makes one.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return fmt.Errorf("unknown command %q; there are new, build, test, bench, fuzz, inspect, dev, sign, verify and replay", args[0])
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(t.newCommand(), t.buildCommand(), t.testCommand(), t.benchCommand(), t.fuzzCommand(), t.inspectCommand(), t.devCommand(), t.replayCommand(), t.signCommand(), t.verifyCommand())
	return root
}

// folders are the arguments, or the working directory.
func folders(args []string) []string {
	if len(args) == 0 {
		return []string{"."}
	}
	return args
}

// cacheDir is where compilers and the host keep what they make, below the
// user's cache directory; a temporary folder where there is none, which clean
// removes.
func cacheDir(parts ...string) (dir string, clean func(), err error) {
	clean = func() {}
	base, err := os.UserCacheDir()
	if err == nil {
		dir = filepath.Join(append([]string{base, "sluice"}, parts...)...)
		if err = os.MkdirAll(dir, 0o700); err == nil {
			return dir, clean, nil
		}
	}
	dir, err = os.MkdirTemp("", "sluice-*")
	if err != nil {
		return "", nil, err
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil
}

// ended reports whether the command was interrupted rather than failed.
func ended(ctx context.Context) bool { return ctx.Err() != nil }
