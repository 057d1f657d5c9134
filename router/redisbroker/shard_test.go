package redisbroker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"sluice/router"
)

// placed is where a broker with these shards has topics, by the shards' names.
func placed(t *testing.T, names ...string) func(router.Topic) string {
	t.Helper()
	o := Options{NodeID: "n"}
	for i, name := range names {
		o.Shards = append(o.Shards, Shard{Name: name, Addresses: []string{fmt.Sprintf("127.0.0.1:%d", 1000+i)}})
	}
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return func(topic router.Topic) string { return b.shardOf(topic).name }
}

func topics(n int) []router.Topic {
	all := make([]router.Topic, n)
	for i := range all {
		all[i] = router.Topic{Name: fmt.Sprint("room:", i/2), User: i%2 == 1}
	}
	return all
}

func TestShardsHaveEqualShares(t *testing.T) {
	of, count := placed(t, "a", "b", "c", "d", "e"), make(map[string]int)
	for _, topic := range topics(50_000) {
		count[of(topic)]++
	}
	for name, n := range count {
		if n < 9_500 || n > 10_500 { // 5.6 standard deviations
			t.Errorf("shard %s has %d of 50,000 topics, want about 10,000", name, n)
		}
	}
}

func TestAnotherShardMovesOnlyItsShare(t *testing.T) {
	before, after, moved := placed(t, "a", "b", "c", "d"), placed(t, "a", "b", "c", "d", "e"), 0
	for _, topic := range topics(50_000) {
		if from, to := before(topic), after(topic); from != to {
			moved++
			if to != "e" {
				t.Fatalf("%+v moved from %s to %s, though only e is new", topic, from, to)
			}
		}
	}
	if moved < 9_500 || moved > 10_500 {
		t.Errorf("%d of 50,000 topics moved, want about 10,000", moved)
	}
}

func TestTheOrderOfShardsDoesNotMatter(t *testing.T) {
	names := []string{"a", "b", "c", "d"}
	one := placed(t, names...)
	slices.Reverse(names)
	rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	other := placed(t, names...)
	for _, topic := range append(topics(1_000), router.Topic{}) {
		if one(topic) != other(topic) {
			t.Fatalf("%+v is on %s, and in another order on %s", topic, one(topic), other(topic))
		}
	}
}

func TestTheOrderOfAddressesDoesNotMatter(t *testing.T) {
	a := Shard{Mode: Sentinel, Master: "m", Addresses: []string{"x:1", "y:1"}, Database: 2, Password: "secret"}
	b := a
	b.Addresses = []string{"y:1", "x:1"}
	if a.defaultName() != b.defaultName() || a.defaultName() != "m@x:1,y:1/2" {
		t.Errorf("the shard is called %q and %q", a.defaultName(), b.defaultName())
	}
}

// TestPlacesOfTopicsStayAsTheyAre pins what nodes of two releases have in common.
func TestPlacesOfTopicsStayAsTheyAre(t *testing.T) {
	of := placed(t, "a", "b", "c")
	got := ""
	for _, topic := range topics(12) {
		got += of(topic)
	}
	if want := "acbaacaabaac"; got != want {
		t.Errorf("topics are on %s, in earlier releases on %s", got, want)
	}
	if of(router.Topic{}) != "a" {
		t.Errorf("broadcasts are on %s, in earlier releases on the first by name", of(router.Topic{}))
	}
}
