package plugins

import (
	"net/url"
	"slices"
	"testing"
)

func FuzzAFilterSeesTheQueryFieldsThatNetURLReads(f *testing.F) {
	for _, raw := range []string{"", "&", "=", "a", "a=b&a=c&b=", "token=x.y_z-0&a=1", "a=%41", "%61=b", "a=1+2", "a=b;c=d", "a=%zz&a=2", "a==b=c", "&&a=&=x"} {
		f.Add(raw, "a")
	}
	f.Fuzz(func(t *testing.T, raw, name string) {
		u := &url.URL{RawQuery: raw}
		var got []string
		for _, m := range appendQuery(nil, u, []string{name}) {
			if m.kind != metaQuery || m.name != name {
				t.Fatalf("%q: got %+v", raw, m)
			}
			got = append(got, m.value)
		}
		if want := u.Query()[name]; !slices.Equal(got, want) {
			t.Errorf("%q: %q is %q, want %q", raw, name, got, want)
		}
	})
}
