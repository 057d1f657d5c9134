package lookup

import (
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Bounds of a cache. What was used longest ago goes first.
const (
	maxEntries    = 10_000
	maxCacheBytes = 16 << 20
	entryBytes    = 256 // what an entry takes beside its key and value, about
)

// cache keeps answers. Its user guards it.
type cache struct {
	lru   *simplelru.LRU[string, cached]
	bytes int
	limit int
}

type cached struct {
	result  Result
	expires time.Time
}

func newCache(entries, limit int) *cache {
	c := &cache{limit: limit}
	c.lru, _ = simplelru.NewLRU(entries, func(key string, e cached) { c.bytes -= e.size(key) }) // fails for a size below 1
	return c
}

func (e *cached) size(key string) int { return entryBytes + len(key) + len(e.result.Value) }

// get returns an answer that is still good.
func (c *cache) get(key string, now time.Time) (Result, bool) {
	e, ok := c.lru.Get(key)
	if ok && !now.Before(e.expires) {
		c.lru.Remove(key)
		return Result{}, false
	}
	return e.result, ok
}

func (c *cache) put(key string, r Result, expires time.Time) {
	c.lru.Remove(key)
	e := cached{r, expires}
	c.bytes += e.size(key)
	c.lru.Add(key, e)
	for c.bytes > c.limit {
		c.lru.RemoveOldest()
	}
}
