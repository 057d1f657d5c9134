package meter

// Native frames, as the compiler's allocator lays them out on amd64: a slot of 8 bytes (16 of a vector) for each
// value that does not stay in a register, saved registers, the return address, and what calls pass on the stack.
const (
	frameBase = 112
	// slotShare: the allocator gives every spilled value a slot of its own and never reuses it. Of all values that a
	// body makes, few are spilled; a body made for it can spill most, and its frame is then up to this many times its
	// estimate.
	slotShare = 8
	// quietDepth is the most stack in bytes that functions which do not look at the budget may use below one that
	// does.
	quietDepth = 8 << 10
)

func frameEstimate(f *function, t funcType, maxHeight int, slots uint64) uint32 {
	slot := uint64(8)
	if f.v128 {
		slot = 16
	}
	values := uint64(f.nLocal) + uint64(maxHeight)
	if spilled := slots / slotShare; spilled > values {
		values = spilled
	}
	passed := uint64(len(t.params) + len(t.results))
	return uint32(min(frameBase+slot*(values+passed), 1<<28))
}

// planStack decides which functions look at the stack budget: those in a cycle of the call graph, and those below
// which a chain of calls would grow past quietDepth. The others' frames are counted by the callers that look.
func (m *module) planStack() {
	g := callGraph{m: m, n: len(m.funcs)}
	g.components()
	// Components come out callees first, so a function's callees are planned before it, unless they are in a cycle.
	depth := make([]uint32, g.n+1) // of stack used by a function and the quiet ones below it
	for _, v := range g.order {
		below := uint32(0)
		for _, w := range g.next(v) {
			below = max(below, depth[w])
		}
		if v == g.n {
			depth[v] = below
			continue
		}
		f := &m.funcs[v]
		total := min(f.frame+below, 1<<29)
		if g.cyclic[v] || (f.calls && total > quietDepth) || f.frame > quietDepth {
			f.reserve = total
		} else {
			depth[v] = total
		}
	}
}

// callGraph has a node for each defined function, and one more, n, that stands for all indirect calls.
type callGraph struct {
	m      *module
	n      int
	order  []int    // callees before callers, except within cycles
	cyclic []bool   // whether a node can reach itself
	taken  []uint32 // functions that may be called indirectly

	// Of Tarjan's algorithm.
	number, low []int // by node; number 0: not seen
	open        []bool
	stack       []int
	count       int
}

func (g *callGraph) next(v int) []uint32 {
	if v == g.n {
		return g.taken
	}
	return g.m.funcs[v].callees
}

// components finds the strongly connected components by Tarjan's algorithm, without recursion: a chain of calls may
// be as long as the module.
func (g *callGraph) components() {
	for i, taken := range g.m.addressTaken {
		if taken {
			g.taken = append(g.taken, uint32(i))
		}
	}
	for i := range g.m.funcs {
		if f := &g.m.funcs[i]; f.indirect {
			f.callees = append(f.callees, uint32(g.n))
		}
	}
	nodes := g.n + 1
	g.cyclic, g.open = make([]bool, nodes), make([]bool, nodes)
	g.number, g.low = make([]int, nodes), make([]int, nodes)
	for root := range nodes {
		if g.number[root] == 0 {
			g.walk(root)
		}
	}
}

func (g *callGraph) walk(root int) {
	type visit struct{ node, edge int }
	path := []visit{{root, 0}}
	g.enter(root)
	for len(path) > 0 {
		v := &path[len(path)-1]
		edges := g.next(v.node)
		if v.edge == len(edges) {
			g.leave(v.node)
			path = path[:len(path)-1]
			if len(path) > 0 {
				parent := path[len(path)-1].node
				g.low[parent] = min(g.low[parent], g.low[v.node])
			}
			continue
		}
		w := int(edges[v.edge])
		v.edge++
		switch {
		case w == v.node:
			g.cyclic[w] = true
		case g.number[w] == 0:
			g.enter(w)
			path = append(path, visit{w, 0})
		case g.open[w]:
			g.low[v.node] = min(g.low[v.node], g.number[w])
		}
	}
}

func (g *callGraph) enter(v int) {
	g.count++
	g.number[v], g.low[v] = g.count, g.count
	g.stack, g.open[v] = append(g.stack, v), true
}

// leave closes the component that v is the root of, if it is one's.
func (g *callGraph) leave(v int) {
	if g.low[v] != g.number[v] {
		return
	}
	first := len(g.stack) - 1
	for g.stack[first] != v {
		first--
	}
	members := g.stack[first:]
	for _, w := range members {
		g.open[w] = false
		g.cyclic[w] = g.cyclic[w] || len(members) > 1
		g.order = append(g.order, w)
	}
	g.stack = g.stack[:first]
}
