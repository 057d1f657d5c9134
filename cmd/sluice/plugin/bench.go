package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"sluice/plugins"
	"sluice/plugins/plugintest"
)

func (t *tool) benchCommand() *cobra.Command {
	var c chosen
	var o plugintest.BenchOptions
	asJSON := false
	cmd := &cobra.Command{
		Use:   "bench [FILE|DIR]",
		Short: "Measure what the events of the fixtures cost",
		Long: "Measures a filter with the events of its fixtures, judged in turn as a node would: time,\n" +
			"fuel and allocations of an event, whether memory grows, and how many instances fit in a GiB.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Duration < time.Millisecond || o.Events < 1 || o.Instances < 1 {
				return errors.New("--time has to be at least 1ms, --events and --instances at least 1")
			}
			return t.bench(cmd.Context(), c, args, o, asJSON)
		},
	}
	c.flags(cmd)
	cmd.Flags().DurationVar(&o.Duration, "time", time.Second, "how long to measure time, twice")
	cmd.Flags().IntVar(&o.Events, "events", 1_000_000, "events after which memory is looked at")
	cmd.Flags().IntVar(&o.Instances, "instances", 64, "instances whose memory is measured")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (t *tool) bench(ctx context.Context, c chosen, args []string, o plugintest.BenchOptions, asJSON bool) error {
	spec, inputs, base, err := t.inputs(c, args)
	if err != nil {
		return err
	}
	o.Builtins, o.CacheDir = base.Builtins, base.CacheDir
	result, err := plugintest.Bench(ctx, spec, inputs, o)
	if err != nil {
		return err
	}
	if asJSON {
		return t.printJSON(result)
	}
	return result.WriteText(t.Stdout)
}

// inputs are the filter's entry and the events of the fixtures; events of every
// kind, where there are none.
func (t *tool) inputs(c chosen, args []string) (plugins.Spec, []*plugintest.Input, plugintest.Options, error) {
	groups, err := t.fixtures(c, args)
	if err != nil {
		return plugins.Spec{}, nil, plugintest.Options{}, err
	}
	g := groups[0]
	spec, inputs, err := plugintest.Inputs(g.files, g.options)
	return spec, inputs, g.options, err
}

func (t *tool) printJSON(v any) error {
	e := json.NewEncoder(t.Stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
