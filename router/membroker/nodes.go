package membroker

import (
	"cmp"
	"context"
	"slices"

	"sluice/router"
)

// Nodes implements router.Broker.
func (n *Node) Nodes(ctx context.Context) ([]router.NodeInfo, error) {
	if err := n.usable(ctx); err != nil {
		return nil, err
	}
	n.hub.broadcast.mu.Lock()
	open := n.hub.everyone.nodes
	n.hub.broadcast.mu.Unlock()

	all := make([]router.NodeInfo, 0, len(open))
	for _, o := range open {
		if info, ok := o.describe(); ok {
			all = append(all, info)
		}
	}
	slices.SortFunc(all, func(a, b router.NodeInfo) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

// describe asks the sink, unless the node has closed.
func (n *Node) describe() (info router.NodeInfo, ok bool) {
	g := &n.gates[0]
	if !g.pass() {
		return info, false
	}
	info = n.sink.Describe()
	g.done()
	return info, true
}
