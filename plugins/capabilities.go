package plugins

import (
	"fmt"
	"strings"
)

// capability is a set of host functions that a filter may import.
type capability uint16

const (
	capLog capability = 1 << iota
	capNow
	capRandom
	capVerify
	capMetricAdd
	capCounterAdd
	capBucketTake
	capKVGet
	capKVSet
)

// capabilityWords are the words of a filter's capabilities, which are the names
// of the functions that they grant, in the order in which they are told.
var capabilityWords = []struct {
	word string
	cap  capability
}{
	{"log", capLog}, {"now", capNow}, {"random", capRandom}, {"verify", capVerify}, {"metric_add", capMetricAdd},
	{"counter_add", capCounterAdd}, {"bucket_take", capBucketTake}, {"kv_get", capKVGet}, {"kv_set", capKVSet},
}

func parseCapabilities(words []string) (capability, error) {
	var set capability
next:
	for _, w := range words {
		for _, c := range capabilityWords {
			if c.word == w {
				set |= c.cap
				continue next
			}
		}
		return 0, fmt.Errorf("capabilities: %q does not exist; there are %s", w, allCapabilities())
	}
	return set, nil
}

// allCapabilities is "log, now, … and kv_set".
func allCapabilities() string {
	var words []string
	for _, c := range capabilityWords {
		words = append(words, c.word)
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}
