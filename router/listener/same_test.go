package listener_test

import (
	"bufio"
	"bytes"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
)

// requests are sent to a server of ours and to a plain one of net/http, which must answer
// alike.
var requests = map[string]string{
	"a handshake":                    handshake("/ws"),
	"on the other path":              handshake("/ws/secure?token=a.b.c"),
	"refused":                        handshake("/ws?refuse"),
	"with a query":                   handshake("/ws?token=x%20y&a=b"),
	"with an empty query":            handshake("/ws?"),
	"header names in lower case":     "GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: WebSocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
	"with many headers":              handshake("/ws", strings.Repeat("X-A: b\r\n", 300)),
	"a cookie of 6 KiB":              handshake("/ws", "Cookie: a="+strings.Repeat("x", 6<<10)+"\r\n"),
	"a token of 15 KiB":              handshake("/ws?token=" + strings.Repeat("x", 15<<10)),
	"a head of 18 KiB":               handshake("/ws", "X-A: "+strings.Repeat("x", 18<<10)+"\r\n"),
	"a head of 30 KiB":               handshake("/ws", "X-A: "+strings.Repeat("x", 30<<10)+"\r\n"),
	"a line of 30 KiB":               "GET /ws?" + strings.Repeat("x", 30<<10),
	"with an origin and extensions":  handshake("/ws", "Origin: https://chat.example\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nX-Forwarded-For: 1.2.3.4, 5.6.7.8\r\n"),
	"with text that is not ASCII":    handshake("/ws", "X-A: \xc3\xa9\xff\r\n"),
	"with a tab in a value":          handshake("/ws", "X-A: a\tb\r\n"),
	"with space around a value":      handshake("/ws", "X-A:   a  \r\n"),
	"a value that is empty":          handshake("/ws", "X-A:\r\n"),
	"close beside upgrade":           handshake("/ws", "Connection: close\r\n"),
	"pragma":                         handshake("/ws", "Pragma: no-cache\r\n"),
	"content length 0":               handshake("/ws", "Content-Length: 0\r\n"),
	"with a frame behind it":         handshake("/ws") + "\x81\x85\x00\x00\x00\x00hello",
	"with a request behind it":       handshake("/ws?refuse") + "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	"with a body":                    handshake("/ws?refuse", "Content-Length: 5\r\n") + "hello",
	"with a chunked body":            handshake("/ws?refuse", "Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n0\r\n\r\n",
	"an unknown transfer encoding":   handshake("/ws?refuse", "Transfer-Encoding: gzip\r\n"),
	"a length and a chunked body":    handshake("/ws?refuse", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n",
	"a length that is none":          handshake("/ws", "Content-Length: x\r\n"),
	"two lengths":                    handshake("/ws", "Content-Length: 0\r\nContent-Length: 1\r\n"),
	"trailers announced":             handshake("/ws", "Trailer: X-A\r\n"),
	"expecting 100":                  handshake("/ws?refuse", "Expect: 100-continue\r\n"),
	"expecting something":            handshake("/ws?refuse", "Expect: tea\r\n"),
	"without a host":                 strings.Replace(handshake("/ws"), "Host: chat.example\r\n", "", 1),
	"with an empty host":             strings.Replace(handshake("/ws"), "Host: chat.example\r\n", "Host:\r\n", 1),
	"two hosts":                      handshake("/ws", "Host: b\r\n"),
	"a host with a space":            strings.Replace(handshake("/ws"), "chat.example", "a b", 1),
	"a host with a slash":            strings.Replace(handshake("/ws"), "chat.example", "a/b", 1),
	"a host with a user":             strings.Replace(handshake("/ws"), "chat.example", "a@b", 1),
	"a host with odd letters":        strings.Replace(handshake("/ws"), "chat.example", "a!b~c", 1),
	"an IPv6 host":                   strings.Replace(handshake("/ws"), "chat.example", "[::1]:8080", 1),
	"a space before a colon":         handshake("/ws", "X-A : b\r\n"),
	"a header without a colon":       handshake("/ws", "X-A\r\n"),
	"a header without a name":        handshake("/ws", ": b\r\n"),
	"a name with odd letters":        handshake("/ws", "X(A: b\r\n"),
	"a NUL in a value":               handshake("/ws", "X-A: a\x00b\r\n"),
	"a control letter in a value":    handshake("/ws", "X-A: a\x01b\r\n"),
	"DEL in a value":                 handshake("/ws", "X-A: a\x7fb\r\n"),
	"a CR in a value":                handshake("/ws", "X-A: a\rb\r\n"),
	"a folded line":                  handshake("/ws", "X-A: a\r\n b\r\n"),
	"a line of spaces":               handshake("/ws", "  \r\nX-A: b\r\n"),
	"a first header that is folded":  "GET /ws HTTP/1.1\r\n Host: x\r\n\r\n",
	"lines that end with LF":         strings.ReplaceAll(handshake("/ws"), "\r\n", "\n"),
	"one line that ends with LF":     strings.Replace(handshake("/ws"), "\r\nUpgrade", "\nUpgrade", 1),
	"an end with LF":                 strings.TrimSuffix(handshake("/ws"), "\r\n") + "\n",
	"a CR alone at the end":          strings.TrimSuffix(handshake("/ws"), "\r\n") + "\r\r\n",
	"no upgrade header":              strings.Replace(handshake("/ws?refuse"), "Upgrade: websocket\r\n", "", 1),
	"an upgrade to something else":   strings.Replace(handshake("/ws?refuse"), "websocket\r\n", "h2c\r\n", 1),
	"two upgrades":                   handshake("/ws?refuse", "Upgrade: websocket\r\n"),
	"no connection header":           strings.Replace(handshake("/ws?refuse"), "Connection: keep-alive, Upgrade\r\n", "", 1),
	"version 12":                     strings.Replace(handshake("/ws?refuse"), "13", "12", 1),
	"two versions":                   handshake("/ws?refuse", "Sec-WebSocket-Version: 8\r\n"),
	"no key":                         strings.Replace(handshake("/ws?refuse"), "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", 1),
	"two keys":                       handshake("/ws?refuse", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
	"a key that is none":             strings.Replace(handshake("/ws?refuse"), "dGhlIHNhbXBsZSBub25jZQ==", "x", 1),
	"a GET":                          "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n",
	"two GETs":                       strings.Repeat("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", 2),
	"a GET of the endpoint":          "GET /ws?refuse HTTP/1.1\r\nHost: x\r\n\r\n",
	"a POST":                         "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
	"a POST to the endpoint":         strings.Replace(handshake("/ws?refuse"), "GET", "POST", 1),
	"a path that nobody has":         handshake("/wss"),
	"a path below":                   handshake("/ws/"),
	"a path that begins twice":       handshake("//ws"),
	"a path with dots":               handshake("/./ws"),
	"a path that is encoded":         handshake("/w%73?refuse"),
	"a path with a bad encoding":     handshake("/ws%zz"),
	"a query with a bad encoding":    handshake("/ws?a=%zz"),
	"a query with a fragment":        handshake("/ws?a#b"),
	"a path with a fragment":         handshake("/ws#b"),
	"a query with a control letter":  handshake("/ws?a=\x01"),
	"a query with a space":           handshake("/ws?a=b c"),
	"a query that is not ASCII":      handshake("/ws?a=\xc3\xa9"),
	"the absolute form":              handshake("http://chat.example/ws?refuse"),
	"the form of OPTIONS":            strings.Replace(handshake("*"), "GET", "OPTIONS", 1),
	"CONNECT":                        "CONNECT chat.example:80 HTTP/1.1\r\nHost: chat.example\r\n\r\n",
	"HTTP/1.0":                       strings.Replace(handshake("/ws?refuse"), "HTTP/1.1", "HTTP/1.0", 1),
	"HTTP/1.2":                       strings.Replace(handshake("/ws?refuse"), "HTTP/1.1", "HTTP/1.2", 1),
	"HTTP/2.0":                       strings.Replace(handshake("/ws"), "HTTP/1.1", "HTTP/2.0", 1),
	"no version":                     strings.Replace(handshake("/ws"), " HTTP/1.1", "", 1),
	"a version in lower case":        strings.Replace(handshake("/ws"), "HTTP/1.1", "http/1.1", 1),
	"the method in lower case":       strings.Replace(handshake("/ws"), "GET", "get", 1),
	"two spaces before the path":     strings.Replace(handshake("/ws"), "GET ", "GET  ", 1),
	"two spaces before the version":  strings.Replace(handshake("/ws"), " HTTP", "  HTTP", 1),
	"a space behind the version":     strings.Replace(handshake("/ws"), "HTTP/1.1", "HTTP/1.1 ", 1),
	"an empty line before":           "\r\n" + handshake("/ws"),
	"the preface of HTTP/2":          "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"the begin of TLS":               "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
	"nothing":                        "",
	"one letter":                     "G",
	"another letter":                 "x",
	"half a line":                    "GET /ws HT",
	"a line":                         "GET /ws HTTP/1.1\r\n",
	"half a head":                    handshake("/ws")[:90],
	"a head without its last letter": strings.TrimSuffix(handshake("/ws"), "\n"),
	"NULs":                           strings.Repeat("\x00", 100),
	"a header and no more":           "GET /ws HTTP/1.1\r\nHost: x\r\nno colon\r\n",
}

// answer is what a server sent, as far as it does not depend on the time and the port.
// A connection may end after a refused handshake, and net/http would keep it.
func answer(t testing.TB, raw string) (first http.Response, header http.Header, body string) {
	t.Helper()
	if raw == "" {
		return http.Response{}, nil, ""
	}
	br := bufio.NewReader(strings.NewReader(raw))
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatalf("%q is no answer: %v", raw, err)
	}
	header = resp.Header
	header.Del("Date")
	header.Del("Connection")
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	rest, _ := io.ReadAll(br)
	if i := bytes.Index(rest, []byte("Date: ")); i >= 0 { // of a second answer
		rest = append(rest[:i:i], rest[i+len("Date: Mon, 02 Jan 2006 15:04:05 GMT"):]...)
	}
	return http.Response{StatusCode: resp.StatusCode, Proto: resp.Proto, ContentLength: resp.ContentLength}, header, string(b) + "|" + string(rest)
}

func compare(t testing.TB, what, got, want string) {
	t.Helper()
	gotResponse, gotHeader, gotBody := answer(t, got)
	wantResponse, wantHeader, wantBody := answer(t, want)
	if gotResponse.StatusCode != wantResponse.StatusCode || gotResponse.ContentLength != wantResponse.ContentLength || gotBody != wantBody ||
		!maps.EqualFunc(gotHeader, wantHeader, func(a, b []string) bool { return strings.Join(a, "\n") == strings.Join(b, "\n") }) {
		t.Errorf("%s: answered\n%s\nand net/http answers\n%s", what, got, want)
	}
}

func TestEveryRequestIsAnsweredAsNetHTTPAnswersIt(t *testing.T) {
	ours, plain := serve(t, hijacks), servePlainly(t, hijacks)
	switched := 0
	for what, request := range requests {
		want := plain.exchange(request)
		compare(t, what, ours.exchange(request), want)
		if strings.Contains(want, " 101 ") {
			switched++
		}
	}
	if switched < 10 {
		t.Errorf("only %d requests were handshakes", switched)
	}
}

func TestEveryRequestThatComesInSingleBytesIsAnsweredAsNetHTTPAnswersIt(t *testing.T) {
	ours, plain := serve(t, hijacks), servePlainly(t, hijacks)
	for what, request := range requests {
		if strings.Contains(what, "behind it") {
			continue // whether a part of that has come with the head is not said
		}
		if len(request) < 1<<10 {
			compare(t, what, ours.exchange(strings.Split(request, "")...), plain.exchange(request))
		}
	}
}

func TestAHandshakeThatComesInTwoPiecesIsServed(t *testing.T) {
	ours, plain := serve(t, hijacks), servePlainly(t, hijacks)
	request := handshake("/ws?a=b")
	want := plain.exchange(request)
	for i := range len(request) {
		compare(t, request[:i], ours.exchange(request[:i], request[i:]), want)
	}
}

func FuzzAnyBytesAreAnsweredAsNetHTTPAnswersThem(f *testing.F) {
	for _, request := range requests {
		if len(request) < 1<<10 {
			f.Add([]byte(request))
		}
	}
	ours, plain := serve(f, hijacks), servePlainly(f, hijacks)
	f.Fuzz(func(t *testing.T, request []byte) {
		ours, plain := &running{t: t, addr: ours.addr}, &running{t: t, addr: plain.addr}
		got, want := ours.exchange(string(request)), plain.exchange(string(request))
		if got == want {
			return
		}
		if got == "" || want == "" {
			t.Fatalf("%q: answered %q, and net/http answers %q", request, got, want)
		}
		if g, w := statusLine(got), statusLine(want); g != w {
			t.Fatalf("%q: answered %q, and net/http answers %q", request, g, w)
		}
		if strings.Contains(statusLine(want), " 101 ") {
			compare(t, string(request), got, want)
		}
	})
}

func statusLine(answer string) string {
	line, _, _ := strings.Cut(answer, "\r\n")
	return line
}
