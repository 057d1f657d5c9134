package plugin

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"sluice/plugins/plugintest"
)

func (t *tool) fuzzCommand() *cobra.Command {
	var c chosen
	var o plugintest.FuzzOptions
	asJSON := false
	cmd := &cobra.Command{
		Use:   "fuzz [FILE|DIR]",
		Short: "Look for events and configurations on which the filter fails",
		Long: "Gives the filter events and configurations that are like those of its fixtures, and malformed:\n" +
			"it must not trap, and no output may be out of bounds. What it finds is printed as fixtures.\n" +
			"Exit code 1 if it finds something.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.fuzz(cmd.Context(), c, args, o, asJSON)
		},
	}
	c.flags(cmd)
	cmd.Flags().DurationVar(&o.Duration, "time", 10*time.Second, "how long to look")
	cmd.Flags().Uint64Var(&o.Seed, "seed", 0, "of the random generator, to repeat a run; 0: another one each time")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (t *tool) fuzz(ctx context.Context, c chosen, args []string, o plugintest.FuzzOptions, asJSON bool) error {
	spec, inputs, base, err := t.inputs(c, args)
	if err != nil {
		return err
	}
	o.Builtins, o.CacheDir = base.Builtins, base.CacheDir
	report, err := plugintest.Fuzz(ctx, spec, inputs, o)
	if err != nil {
		return err
	}
	if asJSON {
		err = t.printJSON(report)
	} else {
		err = report.WriteText(t.Stdout)
	}
	if err == nil && !report.OK() {
		err = &ExitError{exitFailed, nil}
	}
	return err
}
