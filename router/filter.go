package router

import (
	"errors"
	"net/http"
	"time"

	"sluice/router/wire"
)

// Hook is a place where filters are asked. The numbers are those of the plugin
// ABI (sdk/ABI.md).
type Hook uint32

// The hooks a filter may have. HookConfigure belongs to the filter's host.
const (
	HookConfigure Hook = iota + 1
	HookConnect
	HookJoin
	HookMessage
	HookLeave
	HookDisconnect
)

// Kinds of a message event and of a connect event, as in the plugin ABI.
const (
	KindRoom      uint32 = 1 // room_message, and chat with a room
	KindBroadcast uint32 = 2 // chat without a room
	KindDirect    uint32 = 3 // direct_message

	KindNew     uint32 = 1 // a new connection
	KindRefresh uint32 = 2 // an identity is renewed; Payload is the token
)

// Event is one thing that filters judge: the question and, in Verdict, the
// answer. The router owns it, reuses it, and never shares it between
// goroutines at one time.
type Event struct {
	Hook       Hook
	Kind       uint32
	FromServer bool  // from the server API rather than a client
	Time       int64 // Unix nanoseconds
	Conn       uint64
	Seq        uint64 // counts the events of one connection, from 1
	Payload    []byte // message: the content, valid JSON; refresh: the token as the client sent it; else nil
	Room       string // join, leave, and message of KindRoom
	User       string
	Target     string // message of KindDirect
	Claims     []byte // a JSON object, or nil; nil for a connect event
	Cause      uint32 // disconnect: the close code; leave: see the Cause constants
	Expires    int64  // Unix milliseconds when the identity expires; 0: never; 0 for a connect event
	Remote     string // the client's address, without port

	// Request is the upgrade request of a connect event of KindNew, else nil.
	// Filters see only what their configuration names of it.
	Request *http.Request

	// States is what filters keep about this connection between events. The
	// connection owns it; its events are serialised, so no lock guards it.
	States *[]State

	// Verdict is the chain's answer, reset by Filters.Judge before it starts.
	Verdict Verdict

	// Scratch is the judge's working memory, kept here so that judging does not
	// allocate. The router does not look at it.
	Scratch []byte
}

// Causes of a leave event.
const (
	CauseLeft         uint32 = 0 // the client left
	CauseDisconnected uint32 = 1 // the connection ended
	CauseRemoved      uint32 = 2 // the node or its operator removed it
)

// State is what one filter keeps about one connection.
type State struct {
	Filter  string
	Version uint32
	Data    []byte
}

// Action is what a chain of filters decided. The numbers are those of the
// plugin ABI.
type Action uint32

// The actions a chain may end in.
const (
	Continue   Action = iota // nobody objected
	Allow                    // as Continue, and the rest of the chain was skipped
	Deny                     // refuse, and tell the sender
	Drop                     // refuse, and let the sender believe that it was accepted
	Disconnect               // close the connection
)

// Verdict is a chain's answer to an event. Its slices are valid until the
// event is judged again.
type Verdict struct {
	Action     Action
	Code       uint32 // Deny: a code of the ABI (400 … 503, 1000 … 3999); Disconnect: the close code
	Reason     string
	RetryAfter time.Duration
	Filter     string // who denied, dropped or disconnected

	// Failure names the cause if the verdict is a filter's failure rather than
	// its decision ("timeout", "trap", …); Code is then 503.
	Failure string

	Payload []byte // message: the content as the chain left it; nil: unchanged
	Room    string // message: rerouted to this room; "": not rerouted
	// Identity of a connect event says who the client is; nil if no filter said
	// so. On a refresh it is nil, or its user empty, unless a filter has named the
	// user anew: that the connection has one already proves nothing of the token.
	Identity *Identity
}

// WireCode is the verdict's code as a word of the client protocol.
func (v *Verdict) WireCode() wire.Code { return wire.CodeOf(v.Code) }

// ErrRetired is returned by Filters.Judge when these filters have been
// replaced: load the current generation and judge the event anew by it.
var ErrRetired = errors.New("router: the filters have been replaced")

// Filters is a chain of filters, part of one generation. Implementations are
// safe for concurrent use, bound the time of a call, and never panic.
type Filters interface {
	// Handles reports whether some filter of the chain has the hook.
	Handles(h Hook) bool

	// Judge runs the chain over the event and fills event.Verdict. The only
	// error is ErrRetired, and then nothing has happened. Failures of filters
	// are verdicts: their configuration says which.
	Judge(event *Event) error
}
