package plugintest

import (
	"fmt"

	"sluice/plugins/store"
)

// seed keeps what a test says that the node has kept.
func seed(space *store.Space, g *given) error {
	for _, c := range g.counters {
		if _, err := space.CounterAdd([]byte(c.key), c.count, 0); err != nil {
			return fmt.Errorf("counters: %s: %w", c.key, err)
		}
	}
	for _, v := range g.values {
		if err := space.Set([]byte(v.key), v.value, 0); err != nil {
			return fmt.Errorf("values: %s: %w", v.key, err)
		}
	}
	return nil
}
