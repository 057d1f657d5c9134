package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"sluice/plugins/capture"
	"sluice/router/wire"
)

// maxConfigFile is the longest file of a configuration, in bytes.
const maxConfigFile = 4 << 20

// replaying is what the flags of replay say.
type replaying struct {
	against   string
	filter    string
	config    string
	newConfig string
	show      int
	asJSON    bool
}

func (t *tool) replayCommand() *cobra.Command {
	var o replaying
	cmd := &cobra.Command{
		Use:   "replay CAPTURE --against OLD.wasm NEW.wasm",
		Short: "Compare two modules over what a node has captured",
		Long: "Asks two modules every question that a node put to a filter while it captured, with what the node\n" +
			"answered then, and says where they differ. What is printed quotes no content.\n" +
			"Exit code: 0 no difference, 1 differences, 2 nothing could be compared.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return &ExitError{exitUsage, errors.New("name a capture and the new module, as in: sluice plugin replay node.capture --against old.wasm new.wasm")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return t.replay(cmd.Context(), args[0], args[1], o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.against, "against", "", "the old module: a .wasm, or builtin:NAME")
	f.StringVar(&o.filter, "filter", "", "the filter whose questions are asked, if the capture holds several")
	f.StringVar(&o.config, "config", "", "a file with the filter's configuration, or with a node's that has the filter; else as captured")
	f.StringVar(&o.newConfig, "new-config", "", "the same, for the new module alone")
	f.IntVar(&o.show, "show", 10, "how many differences to describe")
	f.BoolVar(&o.asJSON, "json", false, "print JSON")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &ExitError{exitUsage, err} })
	return cmd
}

func (t *tool) replay(ctx context.Context, path, module string, o replaying) error {
	fail := func(err error) error { return &ExitError{exitUsage, err} }
	if o.against == "" {
		return fail(errors.New("--against is missing: name the old module, as in: sluice plugin replay node.capture --against old.wasm new.wasm"))
	}
	options := capture.ReplayOptions{Old: o.against, New: module, Filter: o.filter, Show: o.show, Builtins: t.Builtins}
	for _, c := range []struct {
		flag, file string
		to         *json.RawMessage
	}{{"--config", o.config, &options.Config}, {"--new-config", o.newConfig, &options.NewConfig}} {
		if c.file == "" {
			continue
		}
		config, err := filterConfig(c.file, o.filter)
		if err != nil {
			return fail(fmt.Errorf("%s: %w", c.flag, err))
		}
		*c.to = config
	}
	if dir, clean, err := cacheDir("filters"); err == nil {
		defer clean()
		options.CacheDir = dir
	}
	report, err := capture.Replay(ctx, path, options)
	if err != nil {
		return fail(err)
	}
	if o.asJSON {
		err = t.printJSON(report)
	} else {
		err = report.WriteText(t.Stdout)
	}
	if err != nil {
		return fail(err)
	}
	if report.Differ > 0 {
		return &ExitError{Code: exitFailed}
	}
	return nil
}

// filterConfig reads a filter's configuration: the whole file, or what stands under
// config in the filter's entry of a node's.
func filterConfig(path, filter string) (json.RawMessage, error) {
	text, err := readAtMost(path, maxConfigFile)
	if err != nil {
		return nil, err
	}
	// JSON is taken as it is: a filter may tell 1 from 1.0.
	if wire.CheckJSON(text) == "" && !isNode(text) {
		return json.RawMessage(text), nil
	}
	var whole yaml.Node
	if err := yaml.Unmarshal(text, &whole); err != nil {
		return nil, yamlError(path, err)
	}
	if len(whole.Content) == 0 {
		return nil, fmt.Errorf("%s is empty", path)
	}
	root := whole.Content[0]
	if list := valueOf(root, "filters"); list != nil && list.Kind == yaml.SequenceNode {
		if root, err = entryOf(list, filter); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	if line := unresolved(root); line != 0 {
		return nil, fmt.Errorf("%s:%d: the value comes from a variable or a file, which are not read here: write what it stands for", path, line)
	}
	var value any
	if err := root.Decode(&value); err != nil {
		return nil, yamlError(path, err)
	}
	out, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("%s: it cannot be written as JSON: %w", path, err)
	}
	return out, nil
}

func isNode(text []byte) bool {
	var node struct {
		Filters []json.RawMessage `json:"filters"`
	}
	return json.Unmarshal(text, &node) == nil && node.Filters != nil
}

// entryOf is the configuration of one of a node's filters.
func entryOf(list *yaml.Node, filter string) (*yaml.Node, error) {
	if filter == "" {
		return nil, errors.New("it is a node's configuration: name the filter by --filter")
	}
	for _, entry := range list.Content {
		if name := valueOf(entry, "name"); name != nil && name.Value == filter {
			if config := valueOf(entry, "config"); config != nil {
				return config, nil
			}
			return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}, nil
		}
	}
	return nil, fmt.Errorf("it has no filter %q", filter)
}

// valueOf is the value of a mapping's key, or nil.
func valueOf(n *yaml.Node, key string) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// unresolved is the line of a value that only a node fills in, or 0.
func unresolved(n *yaml.Node) int {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		rest := strings.ReplaceAll(strings.ReplaceAll(n.Value, "$${", ""), "${user}", "")
		if strings.HasPrefix(n.Value, "file:") || strings.Contains(rest, "${") {
			return n.Line
		}
	}
	for _, inner := range n.Content {
		if line := unresolved(inner); line != 0 {
			return line
		}
	}
	return 0
}
