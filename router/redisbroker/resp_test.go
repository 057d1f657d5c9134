package redisbroker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/redis/go-redis/v9"

	"sluice/router/redisbroker/redistest"
)

func readAll(r io.Reader, most int) (all []string, err error) {
	reader := newRESPReader(r, most)
	for {
		got, err := reader.next()
		if err != nil {
			return all, err
		}
		all = append(all, fmt.Sprintf("%d %q %q %q %d", got.kind, got.channel, got.payload, got.text, got.size))
	}
}

func TestWhatRedisSendsIsRead(t *testing.T) {
	long := strings.Repeat("x", 100)
	input := "+OK\r\n" +
		"%1\r\n+server\r\n*2\r\n:1\r\n|1\r\n+a\r\n_\r\n#t\r\n" +
		">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n" +
		">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nhe\r\nl\r\n" +
		"*3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$0\r\n\r\n" +
		">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$100\r\n" + long + "\r\n" +
		">3\r\n$12\r\nsunsubscribe\r\n_\r\n:0\r\n" +
		"-MOVED 7 host:1\r\n" +
		"$2\r\n17\r\n" +
		"*2\r\n$4\r\npong\r\n$2\r\n18\r\n" +
		">4\r\n$8\r\npmessage\r\n$1\r\np\r\n$1\r\nc\r\n$1\r\nx\r\n" +
		"!3\r\nERR\r\n"
	want := []string{
		`0 "" "" "" 0`,
		`0 "" "" "" 0`,
		`2 "c" "" "" 0`,
		`1 "c" "he\r\nl" "" 5`,
		`1 "c" "" "" 0`,
		`1 "c" "" "" 100`,
		`3 "" "" "" 0`,
		`5 "" "" "MOVED 7 host:1" 0`,
		`4 "" "" "17" 0`,
		`4 "" "" "18" 0`,
		`0 "" "" "" 0`,
		`5 "" "" "ERR" 0`,
	}
	for name, r := range map[string]io.Reader{"at once": strings.NewReader(input), "byte by byte": iotest.OneByteReader(strings.NewReader(input))} {
		got, err := readAll(r, 50)
		if err != io.EOF || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	// Cut anywhere, it ends in an error and not in something else.
	whole, _ := readAll(strings.NewReader(input), 50)
	for n := range len(input) {
		got, err := readAll(strings.NewReader(input[:n]), 50)
		if err == nil || len(got) > len(whole) {
			t.Fatalf("cut at %d: %d replies, %v", n, len(got), err)
		}
		for i := range got {
			if got[i] != whole[i] {
				t.Fatalf("cut at %d: %s, want %s", n, got[i], whole[i])
			}
		}
	}
}

func TestWhatIsNotTheProtocolIsRefused(t *testing.T) {
	for _, input := range []string{
		"\r\n", "x\r\n", "+OK\n", "$-2\r\n", "$1\r\nxx\r\n", "*x\r\n", "$99999999999\r\n",
		">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nxxx\r\n",
		strings.Repeat("*1\r\n", 40) + ":1\r\n",
		"+" + strings.Repeat("x", respBuffer) + "\r\n",
	} {
		if _, err := readAll(strings.NewReader(input), 50); !errors.Is(err, errProtocol) {
			t.Errorf("%.40q: %v", input, err)
		}
	}
}

// The same messages, through go-redis and through the reader of this package.
func TestTheReaderAgreesWithAnother(t *testing.T) {
	server := redistest.Start(t)
	ctx, client := t.Context(), server.Client(t)
	conn, err := net.Dial("tcp", server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	channels := []string{"a", "b\r\n", "\x00é", strings.Repeat("n", 5000)}
	command := appendWord(appendCommand(nil, 2, "HELLO"), "3")
	command = appendCommand(command, len(channels)+1, "SUBSCRIBE")
	for _, c := range channels {
		command = appendWord(command, c)
	}
	if _, err := conn.Write(command); err != nil {
		t.Fatal(err)
	}
	reader := newRESPReader(conn, 1<<20)
	for confirmed := 0; confirmed < len(channels); {
		r, err := reader.next()
		if err != nil {
			t.Fatal(err)
		}
		if r.kind == subscribedReply {
			if string(r.channel) != channels[confirmed] {
				t.Fatalf("confirmed %q, want %q", r.channel, channels[confirmed])
			}
			confirmed++
		}
	}
	oracle := client.Subscribe(ctx, channels...)
	defer oracle.Close()
	for range channels {
		if _, err := oracle.Receive(ctx); err != nil {
			t.Fatal(err)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 500 {
		payload := make([]byte, random.IntN(1<<random.IntN(17)))
		for i := range payload {
			payload[i] = byte(random.Uint32())
		}
		if err := client.Publish(ctx, channels[i%len(channels)], payload).Err(); err != nil {
			t.Fatal(err)
		}
		theirs, err := oracle.Receive(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		want, ok := theirs.(*redis.Message)
		if !ok {
			t.Fatalf("%T", theirs)
		}
		ours, err := reader.next()
		if err != nil {
			t.Fatal(err)
		}
		if ours.kind != messageReply || string(ours.channel) != want.Channel || string(ours.payload) != want.Payload {
			t.Fatalf("message %d: %q of %d bytes, want %q of %d", i, ours.channel, len(ours.payload), want.Channel, len(want.Payload))
		}
	}
}

func TestAMessageCostsOneAllocation(t *testing.T) {
	one := []byte(">3\r\n$7\r\nmessage\r\n$5\r\nlobby\r\n$5\r\nhello\r\n")
	reader := newRESPReader(bytes.NewReader(bytes.Repeat(one, 2000)), 1<<20)
	if n := testing.AllocsPerRun(1000, func() {
		if r, err := reader.next(); err != nil || r.kind != messageReply {
			t.Fatal(r, err)
		}
	}); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzRESP(f *testing.F) {
	f.Add([]byte(">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nhello\r\n"))
	f.Add([]byte("*2\r\n$4\r\npong\r\n$2\r\n18\r\n-MOVED 1 a:1\r\n%1\r\n+a\r\n$-1\r\n"))
	f.Add([]byte(">3\r\n$12\r\nsunsubscribe\r\n_\r\n:0\r\n|1\r\n+a\r\n:1\r\n:2\r\n"))
	f.Fuzz(func(t *testing.T, input []byte) {
		got, err := readAll(bytes.NewReader(input), 64)
		if err == nil {
			t.Fatal("no end")
		}
		again, _ := readAll(iotest.HalfReader(bytes.NewReader(input)), 64)
		if strings.Join(got, "\n") != strings.Join(again, "\n") {
			t.Fatalf("read in pieces it is %q, at once %q", again, got)
		}
	})
}
