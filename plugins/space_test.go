package plugins

import (
	"math"
	"strings"
	"testing"

	"sluice/plugins/store"
)

// What becomes of a filter's space and its quota when chains come and go.

func TestAQuotaRefusesWithMinusFourAndIsCounted(t *testing.T) {
	spec := keeping("keep")
	spec.Quota = Quota{Counters: 3, Values: 2 * (store.Overhead + 10), Series: 2}
	c := newTestHost(t, HostOptions{}).chain(nil, spec)
	counter("a", 1, 0).want(t, c, 1)
	counter("b", 1, 0).want(t, c, 1)
	take("a", 1, 1, 0).want(t, c, 0)
	counter("c", 1, 0).want(t, c, resultQuota)
	take("c", 1, 1, 0).want(t, c, resultQuota)
	counter("c", 0, 0).want(t, c, 0)
	counter("a", 1, 0).want(t, c, 2)
	counter("a", -2, 0).want(t, c, 0) // makes room
	counter("c", 1, 0).want(t, c, 1)

	set("12345", "12345", 0).want(t, c, 0)
	set("12345", "123456", 0).want(t, c, 0)
	set("67890", "12345", 0).want(t, c, resultQuota)
	set("67890", "1234", 0).want(t, c, 0)
	set("12345", "1234567", 0).want(t, c, resultQuota)
	if n, _ := get("12345", 0).ask(t, c); n != 6 {
		t.Errorf("what did not fit has changed the value: it has %d bytes", n)
	}
	set("x", strings.Repeat("v", 200), 0).want(t, c, resultQuota)

	metric("a", 1).want(t, c, 0)
	metric("b", 1).want(t, c, 0)
	metric("c", 1).want(t, c, resultQuota)
	metric("a", 1).want(t, c, 0)

	if got, want := stats(c).Store.Refused, (store.Refused{Counters: 2, Values: 3, Series: 1}); got != want {
		t.Errorf("refused %+v, want %+v", got, want)
	}
}

func TestWhatFiltersKeepSurvivesAReloadThatChangesThem(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	one := h.chain(nil, keeping("keep"))
	counter("n", 5, 0).want(t, one, 5)
	take("b", 2, 2, 0).want(t, one, 0)
	set("k", "value", 0).want(t, one, 0)
	metric("seen", 2).want(t, one, 0)

	changed := keeping("keep")
	changed.Config = []byte(`{"v":2}`)
	two := h.chain(one, changed)
	if one.filters[0].pool == two.filters[0].pool {
		t.Fatal("the filter was not made anew")
	}
	counter("n", 1, 0).want(t, one, 6) // both at work, for a moment
	counter("n", 1, 0).want(t, two, 7)
	one.Retire()
	counter("n", 1, 0).want(t, two, 8)
	take("b", 1, 2, 0).want(t, two, math.MaxInt64)
	get("k", 0).want(t, two, 5)
	metric("seen", 1).want(t, two, 0)
	if got := stats(two).Series["seen"]; got != 3 {
		t.Errorf("the series is at %d, want 3", got)
	}
}

func TestFiltersDoNotSeeEachOthersKeys(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	a, b := h.chain(nil, keeping("a")), h.chain(nil, keeping("b"))
	counter("k", 5, 0).want(t, a, 5)
	take("k", 1, 1, 0).want(t, a, 0)
	set("k", "value", 0).want(t, a, 0)
	metric("k", 1).want(t, a, 0)
	counter("k", 1, 0).want(t, b, 1)
	take("k", 1, 1, 0).want(t, b, 0)
	get("k", 0).want(t, b, resultNotFound)
	if len(stats(b).Series) != 0 {
		t.Error("b shows a's series")
	}
}

func TestAFilterThatIsRemovedFreesItsSpace(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	both := h.chain(nil, keeping("a"), keeping("b"))
	counter("k", 5, 0).want(t, both, 5)
	if h.Space("a") == nil || h.Space("b") == nil || h.Space("c") != nil {
		t.Fatal("the host has not the spaces of its filters")
	}
	rest := h.chain(both, keeping("b"))
	if h.Space("a") == nil {
		t.Error("the space is gone while a chain has the filter")
	}
	both.Retire()
	if h.Space("a") != nil || h.Space("b") == nil {
		t.Error("after the last chain with the filter its space is still there, or another's is not")
	}
	again := h.chain(rest, keeping("a"), keeping("b"))
	counter("k", 0, 0).want(t, again, 0)
}

func TestABuildThatFailsLeavesSpacesAndQuotasAsTheyWere(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	spec := keeping("keep")
	spec.Quota.Counters = 1
	c := h.chain(nil, spec)
	counter("k", 5, 0).want(t, c, 5)
	spec.Quota.Counters, spec.Config = 2, []byte(`{"v":2}`)
	if _, err := h.Build(t.Context(), []Spec{spec, {Name: "new", Plugin: "trap_configure.wasm", Dir: "testdata"}, guest("no_hook")}, c); err == nil {
		t.Fatal("it loads")
	}
	if h.Space("new") != nil {
		t.Error("a filter that was never used has a space")
	}
	counter("l", 1, 0).want(t, c, resultQuota)
	counter("k", 1, 0).want(t, c, 6)
	c.Retire()
	if h.Space("keep") != nil || len(h.spaces) != 0 {
		t.Errorf("spaces are left: %v", h.spaces)
	}
}

func TestAChangeOfQuotaTakesEffectOnInstancesThatAreKept(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	spec := keeping("keep")
	spec.Quota.Counters = 1
	one := h.chain(nil, spec)
	counter("a", 1, 0).want(t, one, 1)
	counter("b", 1, 0).want(t, one, resultQuota)
	spec.Quota.Counters = 2
	two := h.chain(one, spec)
	if one.filters[0].pool != two.filters[0].pool {
		t.Fatal("a change of quota makes new instances")
	}
	one.Retire()
	counter("b", 1, 0).want(t, two, 1)
	spec.Quota.Counters = 1
	three := h.chain(two, spec)
	two.Retire()
	counter("a", 1, 0).want(t, three, 2)
	counter("a", -2, 0).want(t, three, 0)
	counter("a", 1, 0).want(t, three, resultQuota)
}

func TestOnConfigureMayKeepThings(t *testing.T) {
	spec := Spec{Name: "k", Plugin: "keep_configure.wasm", Dir: "testdata", Capabilities: keepCapabilities, Config: []byte(`{"a": 1}`)}
	h := newTestHost(t, HostOptions{Lanes: 2})
	c := h.chain(nil, spec)
	space := h.Space("k")
	if got := space.Values()["config"]; string(got) != `{"a": 1}` {
		t.Errorf("the configuration that it keeps is %q", got)
	}
	if n := space.Counters()["configured"]; n != int64(stats(c).Created) || n < 2 {
		t.Errorf("it was configured %d times, with %d instances", n, stats(c).Created)
	}
}

func TestAQuotaHoldsForOnConfigureAndALargerOneAtOnce(t *testing.T) {
	long := func(n int) []byte { return []byte(`{"a": "` + strings.Repeat("x", n) + `"}`) }
	spec := Spec{Name: "k", Plugin: "keep_configure.wasm", Dir: "testdata", Capabilities: keepCapabilities, Config: long(300)}
	spec.Quota.Values = 200
	h := newTestHost(t, HostOptions{})
	if _, err := h.Build(t.Context(), []Spec{spec}, nil); err == nil || !strings.Contains(err.Error(), "no room for the configuration") {
		t.Errorf("Build = %v", err)
	}
	spec.Quota.Values = 1000
	c := h.chain(nil, spec)
	spec.Config, spec.Quota.Values = long(3000), 10_000
	h.chain(c, spec) // with the room that the new configuration needs
	if got := h.Space("k").Values()["config"]; len(got) != len(spec.Config) {
		t.Errorf("it keeps %d bytes", len(got))
	}
}
