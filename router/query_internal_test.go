package router

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

func FuzzAQueryReadsAsNetURLReadsIt(f *testing.F) {
	for _, raw := range []string{
		"", "&", "=", "a", "a=b", "a=b&a=c", "token=x.y_z-0&client_id=ann&ping=json", "a=%41", "%61=b", "a=1+2", "a=b;c=d", "a=%zz", "a==b=c", "&&a=&=x",
		strings.Repeat("&", 9<<10), strings.Repeat("&", 20<<10),
	} {
		f.Add(raw, "a")
	}
	f.Fuzz(func(t *testing.T, raw, name string) {
		got, err := parseQuery(raw)
		want, wantErr := url.ParseQuery(raw)
		if fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Fatalf("%q: got %v, want %v", raw, err, wantErr)
		}
		if err == nil && got.get(name) != want.Get(name) {
			t.Errorf("%q: %q is %q, want %q", raw, name, got.get(name), want.Get(name))
		}
	})
}
