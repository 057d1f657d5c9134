package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice/cmd/sluice/bench"
)

func (b *benchCommand) targetFlags(flags *pflag.FlagSet) {
	flags.StringVar(&b.URL, "url", "ws://127.0.0.1:8080/ws", "the server, ws or wss")
	flags.StringVar(&b.PublishURL, "publish-url", "", "where the first member of each room connects instead: another node")
	flags.BoolVar(&b.Remote, "remote", false, "the server is another machine, which is yours, and may be loaded")
	flags.IntVar(&b.Connections, "connections", 1000, "how many")
	flags.IntVar(&b.Rooms, "rooms", 0, "how many (1 for fanout, a quarter of the connections for rooms and connect, one each for idle)")
	flags.StringVar(&b.RoomPrefix, "room-prefix", "bench:", "what the rooms' names begin with")
	flags.IntVar(&b.Concurrency, "concurrency", 64, "handshakes and joins under way at once")
	flags.Float64Var(&b.ConnectRate, "connect-rate", 0, "connections a second at most; 0: as fast as it goes")
	flags.Var(timeFlag(&b.ConnectTimeout, 10*time.Second), "connect-timeout", "time for one handshake and join")
	flags.BoolVar(&b.Compress, "compress", false, "offer permessage-deflate, as browsers do")
}

func (b *benchCommand) loadFlags(flags *pflag.FlagSet, rate float64) {
	flags.Float64Var(&b.Rate, "rate", rate, "publishes a second, all publishers together, whatever the server does")
	flags.IntVar(&b.Window, "window", 0, "instead of --rate: as fast as it goes, while fewer deliveries are outstanding than this many messages make")
	b.size = 128
	flags.Var((*sizeFlag)(&b.size), "size", "size of a message's content")
	flags.StringVar(&b.Shape, "content", bench.ContentString, `what the content is: string, or object, which is {"text":"…"}`)
	flags.StringVar(&b.payloadFile, "payload-file", "", "a file with JSON to send instead, with "+bench.Placeholder+" in one of its strings")
	flags.Var(timeFlag(&b.Warmup, 2*time.Second), "warmup", "load before anything is measured")
	flags.Var(timeFlag(&b.Duration, 10*time.Second), "duration", "time that is measured")
	flags.Var(timeFlag(&b.Drain, 5*time.Second), "drain", "longest wait for the last deliveries; what comes later is lost")
	flags.IntVar(&b.Slow, "slow", 0, "members that never read")
}

func (b *benchCommand) userFlags(flags *pflag.FlagSet) {
	flags.StringVar(&b.token, "token", "", "a token that all connections bring")
	flags.StringVar(&b.tokenFile, "token-file", "", "a file with a token a line, used in turn")
	flags.StringVar(&b.keyConfig, "key-config", "", "the node's configuration: a token is signed for each user with its key, as by sluice token")
	flags.StringVar(&b.filter, "filter", "", "with --key-config: the filter that the tokens are for (the only one that has keys)")
	flags.StringVar(&b.grants, "grants", "", "with --key-config: what the users may do, as JSON")
	flags.StringVar(&b.TokenQuery, "token-query", "", "query field that tokens go into, instead of the header Authorization")
}

func (b *benchCommand) reportFlags(flags *pflag.FlagSet) {
	flags.StringArrayVar(&b.pids, "pid", nil, "NAME=PID: a process on this machine to measure; may be repeated (the one that listens at --url)")
	flags.IntVar(&b.repeat, "repeat", 1, "runs, of which the median is reported")
	flags.StringVar(&b.Label, "label", "", "a name for the report")
	flags.StringVar(&b.jsonFile, "json", "", "append a JSON object for each run, and one for their median, to this file; -: print them instead of the text")
}

// read makes options of the flags.
func (b *benchCommand) read(cmd *cobra.Command) error {
	given := cmd.Flags().Changed
	if given("window") && given("rate") {
		return errors.New("--rate and --window do not go together: one is a schedule, the other as fast as it goes")
	}
	if given("window") && b.Window < 1 {
		return errors.New("--window must be at least 1")
	}
	if b.repeat < 1 {
		return errors.New("--repeat must be at least 1")
	}
	if b.payloadFile != "" {
		if given("size") || given("content") {
			return errors.New("--payload-file is the whole content: leave --size and --content out")
		}
		payload, err := os.ReadFile(b.payloadFile)
		if err != nil {
			return fmt.Errorf("--payload-file: %w", err)
		}
		b.Payload = append([]byte{}, payload...)
	}
	b.Size = int(min(b.size, math.MaxInt32))
	if err := b.users(cmd); err != nil {
		return err
	}
	if err := b.Check(); err != nil {
		return err
	}
	if err := b.appendJSON(""); err != nil { // before a run of an hour, not after it
		return err
	}
	return b.processes(cmd.Context())
}

// processes are those that are measured.
func (b *benchCommand) processes(ctx context.Context) error {
	for _, text := range b.pids {
		name, digits, ok := strings.Cut(text, "=")
		pid, err := strconv.Atoi(digits)
		if !ok || name == "" || err != nil || pid < 1 {
			return fmt.Errorf("--pid: %q is not NAME=PID, as in srv=1234", text)
		}
		b.Processes = append(b.Processes, bench.Process{Name: name, PID: pid})
	}
	if len(b.pids) == 0 {
		found, note := bench.FindProcesses(ctx, &b.Options)
		if b.Processes = found; note != "" {
			fmt.Fprintln(b.stderr, note)
		}
		return nil
	}
	return bench.CheckProcesses(b.Processes)
}

// durationFlag is a time as Go writes it.
type durationFlag time.Duration

// timeFlag is the flag of a time, which it sets to its default.
func timeFlag(to *time.Duration, def time.Duration) *durationFlag {
	*to = def
	return (*durationFlag)(to)
}

func (f *durationFlag) Set(text string) error {
	d, err := parseDuration(text)
	*f = durationFlag(d)
	return err
}

func (f *durationFlag) String() string { return time.Duration(*f).String() }
func (*durationFlag) Type() string     { return "time" }

// sizeFlag is a number of bytes with its unit.
type sizeFlag Size

func (f *sizeFlag) Set(text string) error {
	n, err := parseSize(text)
	*f = sizeFlag(n)
	return err
}

func (f *sizeFlag) String() string { return Size(*f).String() }
func (*sizeFlag) Type() string     { return "size" }
