package compare

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"cel.dev/cel-go/cel"
	"github.com/dop251/goja"
)

const word = "forbidden"

// message is what a client said: the text, and the same as the JSON that
// travels.
type message struct {
	text string
	json []byte
}

func say(text string) message {
	content, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return message{text, content}
}

// means is one way to apply the policy. judge reports whether the message may
// pass; it is used by one goroutine at a time.
type means struct {
	name string
	sees string // what it is given for each message
	make func(t testing.TB) (judge func(m message) bool)
}

// hookRequest and hookReply have the shape of a publish proxy's, as Centrifugo
// has it: the data and who says it where, and an error or nothing.
type hookRequest struct {
	Client  string          `json:"client"`
	User    string          `json:"user"`
	Channel string          `json:"channel"`
	Data    json.RawMessage `json:"data"`
}

type hookReply struct {
	Result *struct{}  `json:"result,omitempty"`
	Error  *hookError `json:"error,omitempty"`
}

type hookError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func native(testing.TB) func(message) bool {
	banned := []byte(word)
	return func(m message) bool { return !bytes.Contains(m.json, banned) }
}

func celText(t testing.TB) func(message) bool {
	program := celProgram(t, `!content.contains("forbidden")`, cel.Variable("user", cel.StringType),
		cel.Variable("room", cel.StringType), cel.Variable("content", cel.StringType))
	return func(m message) bool {
		v, _, err := program.Eval(map[string]any{"user": "ann", "room": "chat:1", "content": m.text})
		if err != nil {
			t.Fatal(err)
		}
		return v.Value() == true
	}
}

func celJSON(t testing.TB) func(message) bool {
	program := celProgram(t, `!event.content.contains("forbidden")`, cel.Variable("event", cel.MapType(cel.StringType, cel.DynType)))
	return func(m message) bool {
		var content any
		if err := json.Unmarshal(m.json, &content); err != nil {
			t.Fatal(err)
		}
		v, _, err := program.Eval(map[string]any{"event": map[string]any{"user": "ann", "room": "chat:1", "content": content}})
		if err != nil {
			t.Fatal(err)
		}
		return v.Value() == true
	}
}

func celProgram(t testing.TB, expression string, variables ...cel.EnvOption) cel.Program {
	env, err := cel.NewEnv(variables...)
	if err != nil {
		t.Fatal(err)
	}
	ast, issues := env.Compile(expression)
	if issues.Err() != nil {
		t.Fatal(issues.Err())
	}
	program, err := env.Program(ast)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

func gojaText(t testing.TB) func(message) bool {
	return gojaJudge(t, `(function (user, room, content) { return !content.includes("forbidden") })`, func(m message) string { return m.text })
}

func gojaJSON(t testing.TB) func(message) bool {
	return gojaJudge(t, `(function (user, room, content) { return !JSON.parse(content).includes("forbidden") })`, func(m message) string { return string(m.json) })
}

func gojaJudge(t testing.TB, source string, content func(message) string) func(message) bool {
	vm := goja.New()
	v, err := vm.RunString(source)
	if err != nil {
		t.Fatal(err)
	}
	call, ok := goja.AssertFunction(v)
	if !ok {
		t.Fatal("not a function")
	}
	return func(m message) bool {
		v, err := call(goja.Undefined(), vm.ToValue("ann"), vm.ToValue("chat:1"), vm.ToValue(content(m)))
		if err != nil {
			t.Fatal(err)
		}
		return v.ToBoolean()
	}
}

// httpHook asks a server in this very process over a connection that is kept:
// the least that a hook over HTTP can cost. A real one is another process,
// mostly on another machine.
func httpHook(t testing.TB) func(message) bool {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request hookRequest
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		var content string
		if err := json.Unmarshal(request.Data, &content); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		reply := hookReply{Result: &struct{}{}}
		if strings.Contains(content, word) {
			reply = hookReply{Error: &hookError{1000, "banned word"}}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(reply)
	})}
	go func() { _ = server.Serve(l) }()
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		server.Close()
	})
	url := "http://" + l.Addr().String() + "/publish"
	return func(m message) bool {
		body, err := json.Marshal(hookRequest{"c1", "ann", "chat:1", m.json})
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Post(url, "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatal(response.Status, err)
		}
		var reply hookReply
		if err := json.Unmarshal(answer, &reply); err != nil {
			t.Fatal(err)
		}
		return reply.Error == nil
	}
}
