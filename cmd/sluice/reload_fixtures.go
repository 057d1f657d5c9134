package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sluice/plugins"
	"sluice/plugins/plugintest"
)

// fixturesTime bounds the fixtures of one module.
var fixturesTime = 10 * time.Second

// proveFixtures runs the fixtures that modules carry, of a chain that is not in
// force yet: of those that were not in the chain before, whatever their
// configuration was there. Bundled filters are part of the program and tested
// with it.
func (l *loaded) proveFixtures(ctx context.Context, chain, before *plugins.Chain) error {
	proved := make(map[string]bool)
	if before != nil {
		for _, f := range append(before.Info(), before.Candidates()...) {
			proved[f.Digest] = true
		}
	}
	var errs []error
	for _, m := range chain.TakeUnproved() {
		if proved[m.Digest] {
			continue
		}
		proved[m.Digest] = true
		if err := l.prove(ctx, &m); err != nil {
			errs = append(errs, &plugins.LoadError{
				Filter: m.Filter, File: m.File,
				Cause:  "its own fixtures: " + strings.ReplaceAll(err.Error(), "\n", "; "),
				Remedy: "run sluice plugin test on it, and correct the filter or its fixtures",
			})
		}
	}
	if len(errs) > 0 {
		return l.filterErrors(errors.Join(errs...))
	}
	return nil
}

func (l *loaded) prove(ctx context.Context, m *plugins.Unproved) error {
	bounded, cancel := context.WithTimeout(ctx, fixturesTime)
	defer cancel()
	report, err := plugintest.RunModule(bounded, m.File, m.Wasm, plugintest.ModuleOptions{CacheDir: l.cacheDir(), Memory: m.Memory})
	if err == nil {
		err = report.Failure()
	}
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		return fmt.Errorf("they did not end within %s: %w", fixturesTime, err)
	}
	return err
}
