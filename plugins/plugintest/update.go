package plugintest

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"sluice/plugins"
	"sluice/router"
)

// changes gathers what Update rewrites of a file.
type changes struct {
	file   *File
	edits  []edit
	events int
}

// edit replaces a key's value.
type edit struct {
	parent, key, value *yaml.Node
}

// take notes what a test should have said, and takes back that it failed by it.
func (c *changes) take(t *Case, r *TestResult) {
	if r.broken() {
		return
	}
	if t.refused != nil {
		c.takeRefused(t, r)
		return
	}
	r.Failures = nil
	for i, o := range r.Outcomes {
		st := t.steps[i]
		failed := o.failures
		if len(failed) > 0 && st.expect != nil && (o.Failure == "" || st.expect.verdict == verdictFailure) {
			v := st.expect.become(st, o, !t.now.IsZero() || !c.file.now.IsZero())
			c.edits = append(c.edits, edit{st.node, st.expect.key, v})
			c.events++
			failed = nil
		}
		r.Failures = append(r.Failures, failed...)
	}
}

func (c *changes) takeRefused(t *Case, r *TestResult) {
	if r.OK() || r.Refused == "" {
		return
	}
	text, _, _ := strings.Cut(r.Refused, "\n")
	text = strings.TrimPrefix(text, plugins.RefusedConfiguration)
	text, _, _ = strings.Cut(text, "; correct the filter's config")
	for i := 0; i+1 < len(t.node.Content); i += 2 {
		if key := t.node.Content[i]; key.Value == "refused" {
			v := *t.node.Content[i+1]
			v.SetString(text)
			c.edits = append(c.edits, edit{t.node, key, &v})
			c.events++
		}
	}
	r.Failures = nil
}

// write rewrites the file, unless there is nothing to be rewritten.
func (c *changes) write() (updated bool, err error) {
	if len(c.edits) == 0 {
		return false, nil
	}
	if c.file.module {
		return false, errors.New("the fixtures are in the module; update the file that they come from, and build")
	}
	text, err := c.text()
	if err != nil {
		return false, err
	}
	if _, err := parse(c.file.Path, text); err != nil {
		return false, fmt.Errorf("it would be no file of fixtures any more: %w", err)
	}
	return true, replaceFile(c.file.Path, text)
}

// replaceFile puts a file in the place of another at once.
func replaceFile(path string, text []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".sluice-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // nothing, once it is renamed
	_, err = tmp.Write(text)
	if err = errors.Join(err, tmp.Chmod(info.Mode().Perm()), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// text is the file's with the edits made. Lines that they do not touch stay as
// they are; only where a value stands in flow style ({...}), the whole file is
// written anew.
func (c *changes) text() ([]byte, error) {
	flow := false
	for _, e := range c.edits {
		flow = flow || e.parent.Style&yaml.FlowStyle != 0
	}
	if flow {
		return c.rewritten()
	}
	lines := strings.Split(string(c.file.text), "\n")
	slices.SortFunc(c.edits, func(a, b edit) int { return b.key.Line - a.key.Line })
	for _, e := range c.edits {
		block, err := e.block()
		if err != nil {
			return nil, err
		}
		from, to := e.extent(lines)
		block[0] = lines[from][:e.key.Column-1] + block[0]
		lines = slices.Replace(lines, from, to, block...)
	}
	return []byte(strings.Join(lines, "\n")), nil
}

// extent is the run of lines that a key and its value take.
func (e *edit) extent(lines []string) (from, to int) {
	from = e.key.Line - 1
	to = from + 1
	for i := to; i < len(lines); i++ {
		content := strings.TrimLeft(lines[i], " ")
		if content == "" || content == "\r" {
			continue
		}
		if len(lines[i])-len(content) < e.key.Column {
			break
		}
		to = i + 1
	}
	return from, to
}

// block is the key and its value as lines, all but the first indented.
func (e *edit) block() ([]string, error) {
	key := *e.key
	key.HeadComment, key.FootComment = "", "" // they stand in lines of their own
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{&key, e.value}}); err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
	for i := 1; i < len(lines); i++ {
		if lines[i] != "" {
			lines[i] = strings.Repeat(" ", e.key.Column-1) + lines[i]
		}
	}
	return lines, nil
}

// rewritten is the whole file from its nodes: as JSON if it was.
func (c *changes) rewritten() ([]byte, error) {
	for _, e := range c.edits {
		put(e.parent, e.key, e.value)
	}
	var out bytes.Buffer
	if bytes.HasPrefix(bytes.TrimSpace(c.file.text), []byte("{")) {
		d := &decoder{file: c.file.Path}
		text := d.json(c.file.root, "the file")
		if err := d.err(); err != nil {
			return nil, err
		}
		if err := json.Indent(&out, text, "", "  "); err != nil {
			return nil, err
		}
		out.WriteByte('\n')
		return out.Bytes(), nil
	}
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	err := encoder.Encode(c.file.root)
	return out.Bytes(), err
}

// become is the expectation that the outcome meets. Keys that are right stay as
// they are written; those that say nothing any more go.
func (x *expectation) become(st *step, o *Outcome, clockIsSet bool) *yaml.Node {
	m := &mappingEditor{n: &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}}
	if x.node.Kind == yaml.MappingNode {
		*m.n = *x.node
		m.n.Content = slices.Clone(x.node.Content)
	} else {
		m.n.HeadComment, m.n.LineComment, m.n.FootComment = x.node.HeadComment, x.node.LineComment, x.node.FootComment
	}
	if m.has("verdict") || o.Verdict != verdictContinue || x.empty && o.Payload == nil && o.Room == "" && !o.Identified {
		m.set("verdict", o.Verdict)
	}
	passes := o.Verdict == verdictContinue || o.Verdict == "allow"
	refuses := o.Verdict == "deny" || o.Verdict == "disconnect"
	m.keep(refuses, keysOfRefusals...)
	m.keep(passes && st.hook == router.HookMessage, keysOfMessages...)
	m.keep(passes && st.hook == router.HookConnect, keysOfConnects...)
	m.keep(o.Failure != "", "failure")
	switch {
	case o.Failure != "":
		m.set("failure", o.Failure)
	case refuses:
		m.set("code", o.Code)
		m.set("reason", o.Reason)
		if m.has("retry_ms") || o.RetryMS != 0 {
			m.set("retry_ms", o.RetryMS)
		}
	case passes && st.hook == router.HookMessage:
		x.becomeMessage(m, st, o)
	case passes && st.hook == router.HookConnect:
		x.becomeIdentity(m, o, clockIsSet)
	}
	if m.has("state") {
		m.setState(x.state, o)
	}
	if m.has("log") && !sameLines(*x.log, o.lines) {
		m.set("log", append([]string{}, o.Log...))
	}
	if m.has("fuel") && o.Fuel > *x.fuel {
		m.set("fuel", o.Fuel+o.Fuel/10)
	}
	return m.n
}

func (x *expectation) becomeMessage(m *mappingEditor, st *step, o *Outcome) {
	got := o.Payload
	if got == nil {
		got = st.payload
	}
	switch {
	case x.raw != nil && o.Payload != nil:
		if !bytes.Equal(*x.raw, got) {
			m.set("raw", rawNode(got))
		}
	case o.Payload == nil:
		m.keep(x.raw != nil && bytes.Equal(*x.raw, got), "raw")
		m.keep(x.payload != nil && sameJSON(*x.payload, got), "payload")
	case x.payload == nil || !sameJSON(*x.payload, got):
		m.set("payload", yjson(got))
	}
	switch {
	case o.Room != "":
		m.set("room", o.Room)
	default:
		m.keep(x.room != nil && *x.room == st.room, "room")
	}
}

func (x *expectation) becomeIdentity(m *mappingEditor, o *Outcome, clockIsSet bool) {
	if m.has("user") || x.empty && o.User != "" {
		m.set("user", o.User)
	}
	for _, v := range []struct {
		key  string
		want *[]byte
		got  []byte
	}{{"claims", x.claims, o.Claims}, {"grants", x.grants, o.Grants}, {"info", x.info, o.Info}} {
		switch {
		case !m.has(v.key) && !(x.empty && len(v.got) > 0):
		case len(v.got) == 0:
			m.set(v.key, nil)
		case v.want == nil || !sameJSON(*v.want, v.got):
			m.set(v.key, yjson(v.got))
		}
	}
	if m.has("expires_ms") || x.empty && o.ExpiresMS != 0 && clockIsSet {
		m.set("expires_ms", o.ExpiresMS)
	}
}

// mappingEditor changes the keys of a mapping.
type mappingEditor struct{ n *yaml.Node }

func (m *mappingEditor) find(key string) int {
	for i := 0; i+1 < len(m.n.Content); i += 2 {
		if m.n.Content[i].Value == key {
			return i
		}
	}
	return -1
}

func (m *mappingEditor) has(key string) bool { return m.find(key) >= 0 }

// keep removes the keys unless ok.
func (m *mappingEditor) keep(ok bool, keys ...string) {
	for _, key := range keys {
		if i := m.find(key); !ok && i >= 0 {
			m.n.Content = slices.Delete(m.n.Content, i, i+2)
		}
	}
}

// set sets a key; a value that is written so already stays as it is.
func (m *mappingEditor) set(key string, v any) {
	n, ok := v.(*yaml.Node)
	if !ok {
		n = &yaml.Node{}
		_ = n.Encode(v) // words, numbers and lists of words encode
	}
	i := m.find(key)
	if i < 0 {
		k := &yaml.Node{}
		k.SetString(key)
		m.n.Content = append(m.n.Content, k, n)
		return
	}
	old := m.n.Content[i+1]
	if old.Kind == yaml.ScalarNode && n.Kind == yaml.ScalarNode && old.Value == n.Value && old.Tag == n.Tag {
		return
	}
	n.LineComment = old.LineComment
	m.n.Content[i+1] = n
}

func (m *mappingEditor) setState(want *stateValue, o *Outcome) {
	switch {
	case bytes.Equal(want.data, o.State) && (want.version == nil || *want.version == o.Version):
	case len(o.State) == 0:
		m.set("state", nil)
	case want.version == nil && printable(o.State):
		m.set("state", string(o.State))
	default:
		n := ymap("hex", hex.EncodeToString(o.State))
		if want.version != nil {
			add(n, "version", o.Version)
		}
		m.set("state", n)
	}
}
