package plugin

import (
	"fmt"
	"io/fs"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sluice/plugins"
)

func (t *tool) inspectCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "inspect FILE|builtin:NAME",
		Short: "Say what a .wasm is, or why it would not load",
		Long: "Says what a module is: its hooks, the capabilities that it needs, its memory, its\n" +
			"configuration. Exit code 1 if a node would not load it.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("name one .wasm file, as in: sluice plugin inspect hello.wasm")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return t.inspect(args[0], asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (t *tool) inspect(path string, asJSON bool) error {
	// Longer ones are refused by their size, which is said better by Inspect.
	var wasm []byte
	var err error
	if name, ok := strings.CutPrefix(path, "builtin:"); ok && fs.ValidPath(name) {
		if wasm, err = fs.ReadFile(t.Builtins, name+"/"+name+".wasm"); err != nil {
			err = fmt.Errorf("there is no built-in filter %q", name)
		}
	} else {
		wasm, err = readAtMost(path, 4*plugins.MaxModule)
	}
	if err != nil {
		return err
	}
	in := plugins.Inspect(wasm)
	if asJSON {
		if err := t.printJSON(in); err != nil {
			return err
		}
	} else {
		fmt.Fprint(t.Stdout, describe(path, in))
	}
	if in.Refused != nil {
		return &ExitError{Code: 1}
	}
	return nil
}

// describe is an inspection for people.
func describe(path string, in *plugins.Inspection) string {
	var out strings.Builder
	rows := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(rows, "  %s\t%s\n", name, printable(fmt.Sprintf(format, args...)))
	}
	if in.Refused != nil {
		fmt.Fprintf(rows, "%s: a node would not load it\n", path)
		row("why", "%s", in.Refused.Cause)
		if in.Refused.Remedy != "" {
			row("what to do", "%s", in.Refused.Remedy)
		}
	} else {
		fmt.Fprintf(rows, "%s: a filter, by version %d of the plugin ABI\n", path, in.ABI)
	}
	row("size", "%s", size(in.Size))
	row("sha256", "%s", in.Digest)
	if len(in.Toolchain) > 0 {
		row("made by", "%s", strings.Join(in.Toolchain, ", "))
	}
	if len(in.Hooks) > 0 {
		row("hooks", "%s", strings.Join(in.Hooks, ", "))
	}
	if in.Refused == nil {
		describeFilter(row, in)
	}
	describeOff(row, in)
	for i, s := range in.Sections {
		label := ""
		if i == 0 {
			label = "sections"
		}
		row(label, "%s (%s)", s.Name, size(s.Size))
	}
	describeProperties(row, in.Properties)
	_ = rows.Flush()
	return out.String()
}

func describeFilter(row func(string, string, ...any), in *plugins.Inspection) {
	if grants, withKeys := split(in.Capabilities); len(grants) > 0 {
		row("add to its entry", "capabilities: [%s]%s", strings.Join(grants, ", "), withKeys)
	} else if withKeys != "" {
		row("add to its entry", "%s", withKeys[2:])
	} else {
		row("capabilities", "none needed")
	}
	if m := in.Memory; m != nil {
		declared := "none declared"
		if m.Declared != nil {
			declared = size(int(*m.Declared)) + " declared"
		}
		row("memory", "%s at the start, at most %s (%s)", size(int(m.Initial)), size(int(m.Effective)), declared)
	}
	if in.StateVersion {
		row("state", "it versions what it keeps about connections (sluice_state_version)")
	}
	row("compiling", "%s, once for each module (then from the cache)", in.Compile.Round(10*time.Microsecond))
}

// split parts what capabilities: grants from verify, which keys grant.
func split(capabilities []string) (grants []string, withKeys string) {
	for _, c := range capabilities {
		if c == "verify" {
			withKeys = ", keys: [...]"
			continue
		}
		grants = append(grants, c)
	}
	return grants, withKeys
}

// describeOff names what a newer module has and this version does not know.
func describeOff(row func(string, string, ...any), in *plugins.Inspection) {
	for _, im := range in.Imports {
		if im.Off {
			row("off", "it imports %s.%s, which this version does not have: calls answer \"unsupported\"", im.Module, im.Name)
		}
	}
	for _, name := range in.OddHooks {
		row("off", "it exports %s, which is no hook of this version: it is never called", name)
	}
}

func describeProperties(row func(string, string, ...any), properties []plugins.Property) {
	for i, p := range properties {
		label := ""
		if i == 0 {
			label = "config"
		}
		text := p.Name + ": " + p.Type
		if p.Required {
			text += ", required"
		}
		if len(p.Default) > 0 {
			text += ", default " + string(p.Default)
		}
		if p.Description != "" {
			text += "; " + p.Description
		}
		row(label, "%s", text)
	}
}

// printable takes out what would break a line or steer a terminal: names and
// texts are the module's own.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}
