package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice/cmd/sluice/plugin"
	"sluice/plugins/filters"
	"sluice/sdk"
)

// version is set when a release is built.
var version = ""

// nodeVersion is the version told to clients, metrics and people.
func nodeVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}

func newCommands(env []string, stdout, stderr io.Writer) *cobra.Command {
	var from sources
	from.Env = env

	serve := func(cmd *cobra.Command, _ []string) error {
		from.Flags = givenFlags(cmd.Flags())
		return runServe(cmd.Context(), from, stdout, stderr)
	}
	root := &cobra.Command{
		Use:   "sluice",
		Short: "A realtime router with WebAssembly filters in the message path",
		Long: "Sluice routes messages between WebSocket clients, and passes every connect, join and\n" +
			"message through filters that are compiled to WebAssembly. Without a command it serves.",
		Args:              noArguments,
		RunE:              serve,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetHelpCommand(&cobra.Command{Hidden: true})
	serveCmd := &cobra.Command{Use: "serve", Short: "Run a node (the default)", Args: noArguments, RunE: serve}
	var connect bool
	checkCmd := &cobra.Command{
		Use:   "check",
		Short: "Load the configuration and its filters, and say what is wrong with them",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from.Flags = givenFlags(cmd.Flags())
			return runCheck(cmd.Context(), from, connect, stdout, stderr)
		},
	}
	versionCmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArguments,
		Run: func(*cobra.Command, []string) {
			fmt.Fprintf(stdout, "sluice %s %s %s/%s\n", nodeVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
		},
	}
	for _, cmd := range []*cobra.Command{root, serveCmd, checkCmd} {
		addFlags(cmd.Flags(), &from.File)
	}
	checkCmd.Flags().BoolVar(&connect, "connect", false, "connect to Redis as well, and wait until messages flow")
	for _, cmd := range []*cobra.Command{root, serveCmd} {
		cmd.Flags().BoolVar(&from.Dev, "dev", false, "for development: filters and a key of this run in place of config.yaml, and a page to try them on")
	}
	root.AddCommand(serveCmd, checkCmd, newTokenCommand(&from, stdout), versionCmd,
		plugin.Command(plugin.Options{Stdout: stdout, Stderr: stderr, Env: env, Builtins: filters.FS, SDK: sdk.FS, RegistryPasswords: registryPasswords()}))
	root.AddCommand(newRemoteCommands(env, stdout)...)
	root.AddCommand(newBenchCommand(env, stdout, stderr))
	return root
}

// noArguments refuses arguments, and names the command that was meant.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasParent() {
		return fmt.Errorf("%s takes no arguments, only flags; see %s --help", cmd.CommandPath(), cmd.CommandPath())
	}
	near := nearest(args[0], []string{"serve", "check", "token", "version", "reload", "status", "bench"})
	if near != "" {
		near = "did you mean " + near + "? "
	}
	return fmt.Errorf("unknown command %q; %ssee sluice --help", args[0], near)
}

// addFlags adds --config and a flag for each key that may have one.
func addFlags(flags *pflag.FlagSet, file *string) {
	flags.SortFlags = false
	flags.StringVar(file, "config", "", "the configuration file (config.yaml of the working directory, if there is one)")
	for _, k := range leaves() {
		if k.Unit == "secret" {
			continue // a command line is seen by everyone on the machine
		}
		flags.Var(&keyFlag{key: k}, k.flagName(), k.Doc)
		if k.Kind == kindBool {
			flags.Lookup(k.flagName()).NoOptDefVal = "true"
		}
	}
}

// keyFlag is the flag of a key. Its text is parsed with the other sources, so
// that a mistake reads the same wherever it was made.
type keyFlag struct {
	key  *key
	text string
	set  bool
}

func (f *keyFlag) Set(text string) error {
	f.text, f.set = text, true
	return nil
}

func (f *keyFlag) String() string {
	if f.key == nil || f.set {
		return f.text
	}
	return f.key.Default
}

// Type is shown in the help, and decides how a default is.
func (f *keyFlag) Type() string {
	switch f.key.Kind {
	case kindEnum:
		return "word"
	case kindStrings:
		return "a,b"
	}
	return string(f.key.Kind)
}

// givenFlags are the flags of keys that stood on the command line, by path.
func givenFlags(flags *pflag.FlagSet) map[string]string {
	given := make(map[string]string)
	flags.VisitAll(func(f *pflag.Flag) {
		if k, ok := f.Value.(*keyFlag); ok && k.set {
			given[k.key.Path] = k.text
		}
	})
	return given
}
