package socket

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// takable is a ResponseWriter whose connection can be taken, again and again.
type takable struct {
	*httptest.ResponseRecorder
	nc net.Conn
}

func (w takable) Take() (net.Conn, error) { return w.nc, nil }

// asks is a request's part in a handshake.
type asks struct {
	method, proto                              string
	connection, upgrade, version, key          string
	key2, extensions, protocols, already, ours string
	deflate                                    bool
}

func (a *asks) request(t testing.TB) *http.Request {
	major, minor, ok := http.ParseHTTPVersion(a.proto)
	if !ok {
		t.Skip()
	}
	r := &http.Request{Method: a.method, Proto: a.proto, ProtoMajor: major, ProtoMinor: minor, Header: http.Header{}}
	for name, value := range map[string]string{
		"Connection": a.connection, "Upgrade": a.upgrade, "Sec-WebSocket-Version": a.version, "Sec-WebSocket-Key": a.key,
		"Sec-WebSocket-Extensions": a.extensions, "Sec-WebSocket-Protocol": a.protocols,
	} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	if a.key2 != "" {
		r.Header.Add("Sec-WebSocket-Key", a.key2)
	}
	return r
}

// answers are the response that is made without the library, if any, and the library's,
// unless it refuses.
func (a *asks) answers(t testing.TB) (plain, library string) {
	nc, other := net.Pipe()
	t.Cleanup(func() { _, _ = nc.Close(), other.Close() })
	o := Options{}
	if a.ours != "" {
		o.Subprotocols = []string{a.ours}
	}
	if a.deflate {
		o.Deflate = 1
	}
	for i, answer := range []*string{&plain, &library} {
		w := takable{httptest.NewRecorder(), nc}
		if a.already != "" {
			w.Header().Set("X-Already", a.already)
		}
		u := upgrades.Get().(*upgrade)
		u.ResponseWriter = w
		r := a.request(t)
		if i == 0 {
			u.plain(r, &o)
		} else if u.offer(r, &o); u.accept(r) != nil {
			u.nc = nil
		}
		if u.nc != nil {
			*answer = string(u.response)
		}
		u.free()
	}
	return plain, library
}

const someKey = "dGhlIHNhbXBsZSBub25jZQ=="

func flawless() asks {
	return asks{method: "GET", proto: "HTTP/1.1", connection: "Upgrade", upgrade: "websocket", version: "13", key: someKey}
}

func TestAPlainHandshakeIsAnsweredAsTheLibraryWould(t *testing.T) {
	for what, change := range map[string]func(*asks){
		"nothing else":                       func(*asks) {},
		"other capitals":                     func(a *asks) { a.connection, a.upgrade = "upgrade", "WebSocket" },
		"an extension that nobody wants":     func(a *asks) { a.extensions = "permessage-deflate" },
		"a subprotocol, where there is none": func(a *asks) { a.protocols = "v1" },
		"ours, of which nothing is asked":    func(a *asks) { a.ours, a.deflate = "v1", true },
		"our subprotocol":                    func(a *asks) { a.protocols, a.ours = "v1", "v1" },
	} {
		a := flawless()
		change(&a)
		if plain, library := a.answers(t); plain == "" || plain != library {
			t.Errorf("%s: answered %q, the library %q", what, plain, library)
		}
	}
}

func TestWhatIsNotPlainIsLeftToTheLibrary(t *testing.T) {
	for what, change := range map[string]func(*asks){
		"no GET":                     func(a *asks) { a.method = "POST" },
		"an older HTTP":              func(a *asks) { a.proto = "HTTP/1.0" },
		"several connection options": func(a *asks) { a.connection = "keep-alive, Upgrade" },
		"another version":            func(a *asks) { a.version = "8" },
		"no key":                     func(a *asks) { a.key = "" },
		"two keys":                   func(a *asks) { a.key2 = someKey },
		"a short key":                func(a *asks) { a.key = "AAAA" },
		"a key of 17 bytes":          func(a *asks) { a.key = "AAAAAAAAAAAAAAAAAAAAAAA=" },
		"a key of 18 bytes":          func(a *asks) { a.key = "AAAAAAAAAAAAAAAAAAAAAAAA" },
		"a key in the URL's base64":  func(a *asks) { a.key = "______________________==" },
		"compression":                func(a *asks) { a.extensions, a.deflate = "permessage-deflate", true },
		"several subprotocols":       func(a *asks) { a.protocols, a.ours = "v1, v2", "v1" },
		"another subprotocol":        func(a *asks) { a.protocols, a.ours = "v2", "v1" },
		"ours in other capitals":     func(a *asks) { a.protocols, a.ours = "V1", "v1" },
		"no subprotocol":             func(a *asks) { a.protocols, a.ours = " ", "v1" },
		"headers that are set":       func(a *asks) { a.already = "yes" },
	} {
		a := flawless()
		change(&a)
		if plain, _ := a.answers(t); plain != "" {
			t.Errorf("%s: was answered %q", what, plain)
		}
	}
}

func FuzzHandshake(f *testing.F) {
	f.Add("GET", "HTTP/1.1", "Upgrade", "websocket", "13", someKey, "", "", "", "", "", false)
	f.Add("GET", "HTTP/1.1", "keep-alive, upgrade", "WebSocket", "13", someKey, someKey, "permessage-deflate; server_max_window_bits=15", "v1, v2", "x", "v2", true)
	f.Add("GET", "HTTP/1.2", "upgrade", "websocket", "13", "AAAAAAAAAAAAAAAAAAAAAAA=", "", "", "", "", "v1", true)
	f.Add("GET", "HTTP/1.1", "Upgrade", "websocket", "13", "AAAAAAAAAAAAAAAAAAAA\r\nA=", "", "", "", "", "", false)
	f.Fuzz(func(t *testing.T, method, proto, connection, upgrade, version, key, key2, extensions, protocols, already, ours string, deflate bool) {
		a := asks{method, proto, connection, upgrade, version, key, key2, extensions, protocols, already, ours, deflate}
		if plain, library := a.answers(t); plain != "" && plain != library {
			t.Errorf("%+v: answered %q, the library %q", a, plain, library)
		}
	})
}
