package capture

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/plugins"
)

func TestBytesOfATextAreWrittenExactly(t *testing.T) {
	for _, text := range []Text{nil, {}, Text("plain"), Text("<&>\u2028\x00\n\"\\"), Text("\xff\xfe\x00"), Text("{ \"a\" : 1 }"), Text("\xed\xa0\x80")} {
		encoded, err := json.Marshal(struct {
			T Text `json:"t,omitzero"`
		}{text})
		if err != nil {
			t.Fatal(err)
		}
		var back struct {
			T Text `json:"t,omitzero"`
		}
		if err := json.Unmarshal(encoded, &back); err != nil || !bytes.Equal(back.T, text) || (back.T == nil) != (text == nil) {
			t.Errorf("%q becomes %s, and that %q (%v)", text, encoded, back.T, err)
		}
	}
}

// whole is a capture of some events.
func whole(t testing.TB) []byte {
	t.Helper()
	o := options(t)
	c := start(t, o)
	chain := newNode(t, c, plugins.HostOptions{}).chain(plugins.Spec{Name: "capable", Plugin: testdata + "capable.wasm", Capabilities: []string{"log", "now", "random"}})
	for range 20 {
		judge(t, chain, message(`{"text":"hello"}`))
	}
	chain.Retire()
	c.Close()
	text, err := os.ReadFile(o.File)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func write(t testing.TB, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.capture")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestACaptureThatIsCutOffAnywhereIsReadUpToThere(t *testing.T) {
	text := whole(t)
	most := 0
	for n := 0; n < len(text); n += 7 {
		r, err := Open(write(t, text[:n]))
		if err != nil {
			if most > 0 {
				t.Errorf("%d bytes can be read, and %d not: %v", n-7, n, err)
			}
			continue
		}
		count := 0
		for {
			if _, err = r.Next(); err != nil {
				break
			}
			count++
		}
		r.Close()
		if !errors.Is(err, io.EOF) || !r.Cut || count < most {
			t.Errorf("%d bytes: %d events, cut %v, %v", n, count, r.Cut, err)
		}
		most = count
	}
	if all, r := events(t, write(t, text)); len(all) != 20 || r.Cut {
		t.Errorf("the whole has %d events, cut %v", len(all), r.Cut)
	}
}

func TestWhatIsNoCaptureIsRefused(t *testing.T) {
	const header = `{"sluice_capture":{"version":1}}` + "\n"
	for text, want := range map[string]string{
		"":                                       "it has no first line",
		"\x1f\x8bnot gzip at all":                "it is not a capture",
		"{}\n":                                   "its first line is not that of one",
		"{\"sluice_capture\":{\"version\":2}}\n": "it is of version 2",
		header + "nonsense\n":                    "line 2",
		header + `{"event":{"hook":"message","asked":[{"filter":1}]}}` + "\n":                                               "no line tells of filter 1",
		header + `{"filter":{"id":0}}` + "\n":                                                                               "cannot have the number 0",
		header + `{"filter":{"id":1}}` + "\n" + `{"event":{"hook":"x","asked":[{"filter":1}]}}` + "\n":                      `there is no hook "x"`,
		header + `{"filter":{"id":1}}` + "\n" + `{"event":{"hook":"join","asked":[{"filter":1,"lookup_status":9}]}}` + "\n": "there is no lookup_status 9",
		header + `{"event":{"payload":{"base64":"?"}}}` + "\n":                                                              "base64",
		header + strings.Repeat("x", maxLine+1):                                                                             "longer than any of a capture",
	} {
		r, err := Open(write(t, []byte(text)))
		for err == nil {
			_, err = r.Next()
		}
		if r != nil {
			r.Close()
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%.80q: %v; want %q", text, err, want)
		}
	}
	// What a later version may add is passed by.
	all, r := events(t, write(t, []byte(header+`{"later":{}}`+"\n"+`{"event":{"hook":"join","later":1}}`+"\n")))
	if len(all) != 1 || !r.Cut {
		t.Errorf("%d events", len(all))
	}
}

func FuzzReader(f *testing.F) {
	f.Add(whole(f))
	f.Add([]byte(`{"sluice_capture":{"version":1}}` + "\n" + `{"filter":{"id":1,"name":"noop"}}` + "\n" +
		`{"event":{"hook":"message","kind":1,"payload":"1","asked":[{"filter":1,"host":[{"op":"now"}]}]}}` + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Open(write(t, text))
		if err != nil {
			return
		}
		defer r.Close()
		for range 1000 {
			e, err := r.Next()
			if err != nil {
				return
			}
			for i := range e.Asked {
				a := &e.Asked[i]
				q, err := a.question(e)
				if err != nil {
					t.Fatalf("Next let it pass: %v", err)
				}
				requestOf(&q, a.Meta)
				then := said0(a)
				fields(a, e, &then, &then)
			}
		}
	})
}
