package bench

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Scenario is what a run does.
type Scenario string

// The scenarios.
const (
	Fanout  Scenario = "fanout"  // all in one room, of whom one publishes
	Rooms   Scenario = "rooms"   // many rooms of a few members, who publish in turn
	Idle    Scenario = "idle"    // each alone in a room, and nobody says anything
	Connect Scenario = "connect" // handshakes and joins, as fast as they go
)

// Options say what a run does. The zero value of a field is its default, if it
// has one.
type Options struct {
	Scenario    Scenario
	Label       string // of the report
	URL         string
	PublishURL  string // of the first member of each room; "": URL
	Remote      bool   // targets may be other machines
	Connections int    // 1000
	Rooms       int    // 0: 1 for fanout, a quarter of the connections for rooms and connect, one each for idle
	RoomPrefix  string // what room names begin with; "bench:"

	Rate     float64       // publishes a second, of all publishers together
	Window   int           // instead of Rate: while fewer deliveries are outstanding than so many messages make
	Size     int           // bytes of content
	Shape    string        // what the content is: ContentString or ContentObject
	Payload  []byte        // instead of Size and Shape: JSON with the Placeholder in a string
	Warmup   time.Duration // load before anything is measured
	Duration time.Duration // that is measured
	Drain    time.Duration // longest wait for the last deliveries

	Concurrency    int           // handshakes and joins under way at most
	ConnectRate    float64       // connections a second at most; 0: as fast as it goes
	ConnectTimeout time.Duration // of one handshake and join

	Tokens     []string                          // used in turn; none: client_id
	Sign       func(user string) (string, error) // instead of Tokens: makes a user's token
	TokenQuery string                            // query field for tokens; "": the header Authorization
	Compress   bool                              // offer permessage-deflate
	Slow       int                               // members that never read
	Processes  []Process                         // whose CPU and memory is measured

	// For tests.
	plain bool           // the portable engine, where another would be chosen
	hurry bool           // nothing is left to settle
	roots *x509.CertPool // that wss trusts
}

// The shapes of content.
const (
	ContentString = "string" // "…"
	ContentObject = "object" // {"text":"…"}
)

// Placeholder stands in a payload where the marker goes.
const Placeholder = "{{bench}}"

// MinSize is the least size of content: the marker takes that.
const MinSize = markerSize

// descriptorsOfOurOwn are file descriptors beside those of connections.
const descriptorsOfOurOwn = 64

// Check says what is wrong with the options.
func (o *Options) Check() error {
	publishes := o.Scenario == Fanout || o.Scenario == Rooms
	switch {
	case o.Connections < 1 || o.Connections > maxConnections:
		return fmt.Errorf("--connections must be 1 to %d", maxConnections)
	case o.Rooms < 0 || o.Rooms > o.Connections:
		return fmt.Errorf("--rooms must be 1 to --connections, which is %d", o.Connections)
	case o.Concurrency < 1:
		return errors.New("--concurrency must be at least 1")
	case o.ConnectRate != 0 && !(o.ConnectRate >= minRate): // NaN is no rate
		return fmt.Errorf("--connect-rate must be 0, or at least %g a second", minRate)
	case o.ConnectTimeout <= 0:
		return errors.New("--connect-timeout must be more than 0s")
	case o.Slow < 0 || o.Slow > 0 && o.Slow >= o.Connections-o.rooms():
		return errors.New("--slow: too many; of each room the first member reads, and somebody has to be delivered to")
	case len(o.Tokens) > 0 && o.Sign != nil:
		return errors.New("--token and --token-file do not go together with --key-config")
	case o.TokenQuery != "" && len(o.Tokens) == 0 && o.Sign == nil:
		return errors.New("--token-query names where tokens go, and there are none: add --token, --token-file or --key-config")
	case strings.ContainsAny(o.RoomPrefix, "\"\\<>&") || strings.ContainsFunc(o.RoomPrefix, func(r rune) bool { return r < ' ' || r > '~' }):
		return errors.New(`--room-prefix: printable ASCII without " \ < > & is possible`)
	case len(o.RoomPrefix) > 200:
		return errors.New("--room-prefix: at most 200 bytes")
	case (publishes || o.Scenario == Idle) && o.Duration <= 0:
		return errors.New("--duration must be more than 0s")
	case !publishes:
		return nil
	case o.Window < 0:
		return errors.New("--window must be at least 1")
	case o.Window == 0 && !(o.Rate >= minRate && o.Rate <= 1e7):
		return fmt.Errorf("--rate must be %g to 10 million a second", minRate)
	case o.Warmup < 0 || o.Drain < 0:
		return errors.New("--warmup and --drain must not be negative")
	case o.Warmup+o.Duration+o.Drain > maxRunTime:
		return fmt.Errorf("--warmup, --duration and --drain must not be longer than %s together", maxRunTime)
	}
	_, err := o.template()
	return err
}

// minRate is the least rate a second: of a smaller one the schedule's times do not
// fit into nanoseconds.
const minRate = 0.001

const maxRunTime = 72 * time.Hour // what the time in a marker can tell apart

// rooms is how many rooms there are.
func (o *Options) rooms() int {
	if o.Rooms > 0 {
		return o.Rooms
	}
	switch o.Scenario {
	case Fanout:
		return 1
	case Idle:
		return o.Connections
	}
	return max(1, o.Connections/4)
}

// template is content with a place for the marker.
type template struct {
	before, after []byte // JSON
}

func (o *Options) template() (t template, err error) {
	if o.Payload != nil {
		return payloadTemplate(bytes.TrimSpace(o.Payload))
	}
	if o.Size < MinSize || o.Size > 16<<20 {
		return t, fmt.Errorf("--size must be %d, which the marker takes, to %d bytes", MinSize, 16<<20)
	}
	filler := make([]byte, o.Size-markerSize)
	for i := range filler {
		filler[i] = "abcdefghijklmnopqrstuvwxyz 0123456789 "[i%38]
	}
	switch cmp.Or(o.Shape, ContentString) {
	case ContentString:
		return template{[]byte(`"`), append(filler, '"')}, nil
	case ContentObject:
		return template{[]byte(`{"text":"`), append(filler, `"}`...)}, nil
	}
	return t, fmt.Errorf("--content: %q is neither %s nor %s", o.Shape, ContentString, ContentObject)
}

func payloadTemplate(payload []byte) (t template, err error) {
	if !json.Valid(payload) {
		return t, errors.New("--payload-file: it is not JSON; text has to stand in quotes")
	}
	before, after, found := bytes.Cut(payload, []byte(Placeholder))
	switch {
	case !found && payload[0] == '"':
		return template{payload[:1], payload[1:]}, nil
	case !found:
		return t, fmt.Errorf(`--payload-file: deliveries cannot be recognised; put %s into one of its strings, as in {"id":"%s"}`, Placeholder, Placeholder)
	case bytes.Contains(after, []byte(Placeholder)):
		return t, fmt.Errorf("--payload-file: %s stands in it more than once; one message would count as several", Placeholder)
	}
	return template{before, after}, nil
}

// checkDescriptors raises the number of files that this process may have open,
// as far as it may.
func (o *Options) checkDescriptors() error {
	need := uint64(o.Connections + descriptorsOfOurOwn)
	if limit, known := raiseFileLimit(need); known && limit < need {
		return fmt.Errorf("--connections %d needs %d file descriptors, and this process may have %d: use fewer, or raise the limit before (ulimit -n %d, or LimitNOFILE= of systemd), for the node as well",
			o.Connections, need, limit, need)
	}
	return nil
}

// userName is the user of a connection that brings no token of its own.
func (o *Options) userName(run string, i int) string { return fmt.Sprintf("bench-%s-%d", run, i) }

// Process is a process whose CPU and memory is measured.
type Process struct {
	Name string
	PID  int
}
