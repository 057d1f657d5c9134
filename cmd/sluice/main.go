package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"sluice/cmd/sluice/plugin"
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		// The first signal drains the node. From then on signals do what they
		// do by default: a second one ends the process at once.
		signal.Stop(signals)
		cancel()
	}()
	os.Exit(Main(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// Main runs the command until it has ended, or until ctx ends and it has shut
// down. It returns the exit code: 0, or 1 after an error, which it has printed;
// some commands have others.
func Main(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newCommands(env, stdout, stderr)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		var exit *plugin.ExitError
		if !errors.As(err, &exit) {
			exit = &plugin.ExitError{Code: 1, Err: err}
		}
		if exit.Err != nil {
			printError(stderr, exit.Err)
		}
		return exit.Code
	}
	return 0
}

// printError prints what is wrong. Errors about a file begin with its name, so
// that editors find the line.
func printError(w io.Writer, err error) {
	if errs, ok := err.(configErrors); ok {
		fmt.Fprintln(w, errs.Error())
		return
	}
	fmt.Fprintln(w, "sluice: "+err.Error())
}
