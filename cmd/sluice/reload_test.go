package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// reloadable is a node whose file a test changes.
type reloadable struct {
	*running
	file string
}

func startReloadable(t *testing.T, config string) *reloadable {
	t.Helper()
	r := &reloadable{file: filepath.Join(t.TempDir(), "config.yaml")}
	r.write(t, config)
	r.running = run(t, []string{"SLUICE_RELOAD_WATCH=false"}, io.Discard, "--config", r.file)
	return r
}

// write replaces the file as editors do, by renaming.
func (r *reloadable) write(t *testing.T, config string) {
	t.Helper()
	text := "listen: 127.0.0.1:0\nadmin: {listen: \"127.0.0.1:0\"}\nlog: {format: json, level: debug}\ncache: " + compiled() + "\n" + config
	if err := os.WriteFile(r.file+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(r.file+".new", r.file); err != nil {
		t.Fatal(err)
	}
}

// command runs the program against the node.
func (r *reloadable) command(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = Main(context.Background(), append(args, "--admin", "http://"+r.admin), nil, nil, &out, &errs)
	return code, out.String(), errs.String()
}

func (r *reloadable) post(t *testing.T, header ...string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://"+r.admin+"/api/reload", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	response, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func sizeLimit(bytes int) string {
	return fmt.Sprintf("filters:\n  - name: size\n    plugin: builtin:size\n    config: {max_bytes: %d}\n", bytes)
}

// accepted reports whether the node accepts a message of 20 bytes.
func (c *client) accepted() bool {
	c.t.Helper()
	c.send(`{"type":"room_message","room":"a","content":"` + strings.Repeat("x", 18) + `","id":"1"}`)
	for {
		e, err := c.read()
		if err != nil {
			c.t.Fatal(err)
		}
		switch e.Event {
		case "ack":
			return true
		case "error":
			return false
		}
	}
}

func TestAReloadPutsTheFileIntoForceAndKeepsTheClients(t *testing.T) {
	n := startReloadable(t, sizeLimit(10))
	c := n.dial("/ws?client_id=ann")
	c.join("a")
	if c.accepted() {
		t.Fatal("20 bytes pass a limit of 10")
	}
	n.write(t, sizeLimit(100))
	if code, out, errs := n.command("reload"); code != 0 || out != "generation 2 is in force\n" {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	if !c.accepted() {
		t.Error("20 bytes do not pass a limit of 100")
	}
	if code, out, errs := n.command("status"); code != 0 || !strings.Contains(out, "generation 2, ") || !strings.Contains(out, "1 reload done, 0 refused") || !strings.Contains(out, "builtin:size") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	if done, loaded := n.counter(`sluice_reloads_total{result="done"}`), n.counter("sluice_generation"); done != 1 || loaded != 2 {
		t.Errorf("the metrics say %d reloads and generation %d", done, loaded)
	}
}

func TestAReloadThatCannotBeDoneWholeChangesNothingAndSaysWhy(t *testing.T) {
	n := startReloadable(t, sizeLimit(10))
	c := n.dial("/ws?client_id=ann")
	c.join("a")
	for i, row := range []struct{ config, want string }{
		{sizeLimit(100) + "    rooms: [\"***\"]\n", "config.yaml:9"},
		{"limits: {frame: 1KiB}\n" + sizeLimit(0), "max_bytes"},
		{sizeLimit(100) + "  - name: gone\n    plugin: ./gone.wasm\n", "the file does not exist"},
		{sizeLimit(100) + "rooms: [{matsch: x}]\n", "did you mean rooms[0].match?"},
		{"shutdown: {drain: 3s}\nanonymous: true\n" + sizeLimit(100), "anonymous: it cannot change while the node runs"},
		{"shutdown: {drain: 3s}\n" + sizeLimit(100), "config.yaml:5: shutdown.drain: it cannot change while the node runs; restart the node"},
		{"{", "config.yaml"},
	} {
		n.write(t, row.config)
		if code, out, errs := n.command("reload"); code != 1 || out != "" || !strings.Contains(errs, row.want) {
			t.Errorf("%q: exit %d: %s%s, want %s", row.config, code, out, errs, row.want)
		}
		if c.accepted() {
			t.Fatalf("%q: part of the configuration is in force", row.config)
		}
		if refused := n.counter(`sluice_reloads_total{result="refused"}`); refused != i+1 {
			t.Errorf("%d refused reloads are counted, want %d", refused, i+1)
		}
	}
	if _, out, _ := n.command("status"); !strings.Contains(out, "generation 1, ") || !strings.Contains(out, "the last reload that was refused, ") || !strings.Contains(out, "by api") {
		t.Errorf("the status is %s", out)
	}
	n.write(t, sizeLimit(100))
	if status, body := n.post(t); status != http.StatusOK || body != "{\"generation\":2}\n" {
		t.Errorf("the next good file: %d %s", status, body)
	}
	if !c.accepted() {
		t.Error("the next good file is not in force")
	}
}

func TestAHangupReloads(t *testing.T) {
	n := startReloadable(t, sizeLimit(10))
	n.write(t, sizeLimit(100))
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	n.awaitLog(t, `"msg":"reloaded","trigger":"SIGHUP","generation":2`)
}

// awaitLog waits until the log has the text.
func (n *running) awaitLog(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(patience); !strings.Contains(n.logText(), text); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the log lacks %s:\n%s", text, n.logText())
		}
	}
}

func TestTheLogsLevelChangesWithAReload(t *testing.T) {
	n := startReloadable(t, "")
	text, err := os.ReadFile(n.file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(n.file, bytes.Replace(text, []byte("level: debug"), []byte("level: warn"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, body := n.post(t); status != http.StatusOK {
		t.Fatal(status, body)
	}
	if strings.Contains(n.logText(), `"msg":"reloaded"`) {
		t.Errorf("the level is not in force:\n%s", n.logText())
	}
}

func TestNoWebPageAndNobodyWithoutTheTokenReloads(t *testing.T) {
	n := startReloadable(t, "")
	for _, row := range []struct {
		header []string
		want   int
	}{
		{[]string{"Content-Type", "text/plain"}, http.StatusUnsupportedMediaType},
		{[]string{"Content-Type", "application/x-www-form-urlencoded"}, http.StatusUnsupportedMediaType},
		{[]string{"Origin", "https://elsewhere.example"}, http.StatusForbidden},
		{[]string{"Origin", "null"}, http.StatusForbidden},
		{[]string{"Sec-Fetch-Site", "cross-site"}, http.StatusForbidden},
		{[]string{"Sec-Fetch-Site", "same-site"}, http.StatusForbidden},
		{[]string{"Host", "elsewhere.example"}, http.StatusForbidden},
		{[]string{"Origin", "http://" + n.admin}, http.StatusOK},
	} {
		if status, body := n.post(t, row.header...); status != row.want {
			t.Errorf("%v: %d %s, want %d", row.header, status, body, row.want)
		}
	}
	if status, _ := n.get(n.admin + "/api/reload"); status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", status)
	}

	guarded := start(t, "admin: {listen: \"127.0.0.1:0\", token: \"0123456789abcdef\"}\n")
	g := &reloadable{running: guarded}
	if status, _ := g.post(t); status != http.StatusUnauthorized {
		t.Errorf("without the token: %d", status)
	}
	if status, body := g.post(t, "Authorization", "Bearer 0123456789abcdef"); status != http.StatusOK {
		t.Errorf("with the token: %d %s", status, body)
	}
	if code, _, errs := g.command("reload"); code != 1 || !strings.Contains(errs, "set the variable SLUICE_ADMIN_TOKEN") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestReloadsThatComeTogetherFollowEachOtherWhileMessagesFlow(t *testing.T) {
	n := startReloadable(t, sizeLimit(100))
	c := n.dial("/ws?client_id=ann")
	c.join("a")
	var reloading sync.WaitGroup
	for range 20 {
		reloading.Go(func() {
			if status, body := n.post(t); status != http.StatusOK {
				t.Errorf("%d %s", status, body)
			}
		})
	}
	over := make(chan struct{})
	go func() { reloading.Wait(); close(over) }()
	for flowing := true; flowing; {
		select {
		case <-over:
			flowing = false
		default:
		}
		if !c.accepted() {
			t.Fatal("a message was refused")
		}
	}
	if g := n.counter("sluice_generation"); g != 21 {
		t.Errorf("generation %d is in force, want 21", g)
	}
}

func TestForDevelopmentAReloadKeepsTheKeyOfTheRun(t *testing.T) {
	var out lockedBuffer
	n := &reloadable{running: run(t, nil, &out, devArgs(t, "--admin-listen", "127.0.0.1:0")...)}
	links := links(t, out.String())
	if status, body := n.post(t); status != http.StatusOK {
		t.Fatal(status, body)
	}
	token := strings.TrimPrefix(links["ann"].Fragment, "token=")
	if _, response, err := n.enter(token); err != nil {
		t.Errorf("the link's token is refused after a reload: %v %v", err, response)
	}
}

func TestTheCommandsOfARunningNodeSayWhatTheyReached(t *testing.T) {
	other := http.NewServeMux()
	other.HandleFunc("/api/reload", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") })
	other.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusNotFound) })
	server := serveLocally(t, other)
	for _, row := range []struct {
		args []string
		want string
	}{
		{[]string{"reload", "--admin", "http://127.0.0.1:1"}, "no node answers at http://127.0.0.1:1"},
		{[]string{"reload", "--admin", "127.0.0.1:8081"}, "is not a URL such as"},
		{[]string{"reload", "--admin", server}, "not that of a Sluice node"},
		{[]string{"status", "--admin", server}, "not as a Sluice node's admin listener does"},
		{[]string{"status", "now"}, "takes no arguments"},
	} {
		var errs bytes.Buffer
		if code := Main(context.Background(), row.args, nil, nil, io.Discard, &errs); code != 1 || !strings.Contains(errs.String(), row.want) {
			t.Errorf("%v: exit %d: %s", row.args, code, &errs)
		}
	}
}

func serveLocally(t *testing.T, h http.Handler) (base string) {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func postJSON(t *testing.T, url, body string) (status int, answer string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	response, err := client.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func TestAListCanChangeAsAWholeOrNotAtAll(t *testing.T) {
	schema.walk(func(k *key) {
		list, _, inList := strings.Cut(k.Path, "[]")
		if !inList {
			return
		}
		if isFixed := slices.ContainsFunc(fixed(), func(f *key) bool { return f.Path == list }); isFixed == k.Reload {
			t.Errorf("%s can change: %v, and the list %s is fixed: %v", k.Path, k.Reload, list, isFixed)
		}
	})
}

func TestAChangedDeploymentInAListIsNamed(t *testing.T) {
	const shards = "broker: redis\nredis: {shards: [{addresses: [\"a:1\"]}, {addresses: [\"b:%d\"]}]}\n"
	old, next := mustLoad(t, fmt.Sprintf(shards, 1)), mustLoad(t, fmt.Sprintf(shards, 2))
	if err := fixedChanges(old, old); err != nil {
		t.Error(err)
	}
	if err := fixedChanges(old, next); err == nil || !strings.Contains(err.Error(), "config.yaml:2: redis.shards: it cannot change while the node runs") {
		t.Errorf("got %v", err)
	}
}

func TestEverySettingThatIsFixedIsNamedWhenItChanges(t *testing.T) {
	old := mustLoad(t, sizeFilter)
	for _, k := range leaves() {
		next := *old
		v := reflect.ValueOf(&next.Config).Elem()
		for name := range strings.SplitSeq(k.Path, ".") {
			v = fieldOf(v, name)
		}
		switch v.Kind() {
		case reflect.Bool:
			v.SetBool(!v.Bool())
		case reflect.String:
			v.SetString(v.String() + "x")
		case reflect.Int, reflect.Int64:
			v.SetInt(v.Int() + 1)
		case reflect.Float64:
			v.SetFloat(v.Float() + 1)
		case reflect.Slice:
			v.Set(reflect.ValueOf([]string{"x"}))
		default:
			t.Fatalf("%s is a %s", k.Path, v.Kind())
		}
		err := fixedChanges(old, &next)
		if named := err != nil && strings.Contains(err.Error(), k.Path+": it cannot change while the node runs"); named == k.Reload {
			t.Errorf("%s can change: %v; the reload: %v", k.Path, k.Reload, err)
		}
	}
}
