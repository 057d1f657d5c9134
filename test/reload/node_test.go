package reload_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/test/program"
)

// node is the real program in a process of its own.
type node struct {
	*program.Process
	t     *testing.T
	dir   string
	fixed string // settings that no reload changes
}

// startNode runs a node with settings that stay, and with others.
func startNode(t *testing.T, fixed, text string) *node {
	t.Helper()
	n := &node{t: t, dir: t.TempDir(), fixed: fixed}
	n.put("stamp.wasm", guest(t, "testdata/stamp.wasm"))
	n.configure(text)
	n.Process = program.Start(t, n.dir)
	return n
}

// put renames a file into place.
func (n *node) put(name string, content []byte) {
	n.t.Helper()
	path := filepath.Join(n.dir, name)
	done(n.t, os.WriteFile(path+".new", content, 0o600))
	done(n.t, os.Rename(path+".new", path))
}

func (n *node) configure(text string) {
	n.t.Helper()
	n.put("config.yaml", []byte(program.Settings+program.Admin+"cache: "+scratch()+"/cache\n"+n.fixed+text))
}

// stamping is a configuration of three filters that stamp the number.
func stamping(number int) string {
	text := "rooms: [{match: \"**\", announce: off}]\nfilters:\n"
	for i := range 3 {
		text += fmt.Sprintf("  - {name: stamp%d, plugin: stamp.wasm, rooms: [\"good:*\"], config: {n: %d}, limits: {time: 1s}}\n", i, number)
	}
	return text
}

// reload asks for a reload, and returns the status of the answer and the answer.
func (n *node) reload() (status int, body string) {
	n.t.Helper()
	response, err := n.HTTP.Post(n.Admin+"/api/reload", "application/json", strings.NewReader("{}"))
	done(n.t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	done(n.t, err)
	return response.StatusCode, string(text)
}

// holding is what a node holds on to.
type holding struct {
	rss, virtual              float64 // bytes; a filter's instance reserves 32 MiB of addresses
	instances, goroutines, fd int
}

func (n *node) holds() holding {
	m := n.Metrics()
	return holding{m["process_resident_memory_bytes"], m["process_virtual_memory_bytes"],
		int(m["sluice_filter_instances"]), int(m["go_goroutines"]), int(m["process_open_fds"])}
}

func (h holding) String() string {
	return fmt.Sprintf("%.0f MiB resident, %.0f MiB of addresses, %d instances, %d goroutines, %d files",
		h.rss/(1<<20), h.virtual/(1<<20), h.instances, h.goroutines, h.fd)
}

// backTo waits until the node holds no more than it did: as many instances,
// goroutines and files, give or take those of a scrape, and the addresses of less than
// eight instances more.
func (n *node) backTo(was holding) {
	n.t.Helper()
	var is holding
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		is = n.holds()
		if is.instances == was.instances && is.goroutines <= was.goroutines+3 && is.fd <= was.fd+2 && is.virtual < was.virtual+256<<20 && is.rss < 1.5*was.rss+32<<20 {
			n.t.Logf("at the start: %s; at the end: %s", was, is)
			return
		}
	}
	n.t.Errorf("the node does not give back what it took: at the start it held %s, and at the end %s", was, is)
}
