// Package plugins is the host of the WebAssembly filters: it loads them, and
// runs them on the path of every event.
//
// # Path of an event
//
//	Chain.Judge   chain.go     take a lane (admit.go); is the chain still the current one?
//	filter.serving rollout.go  the filter, or on a canary's connections its candidate
//	filter.run    filter.go    which filters have the hook, and match the room
//	inquire       lookups.go   for a filter with a lookup: give the lane back, look up, take a lane again
//	question      event.go     write the event into the guest's buffer
//	instance.ask  instance.go  call the hook, within fuel, time and stack
//	filter.read   outputs.go   check the verdict and every output it uses
//	filter.take   filter.go    carry it out: the next filter sees the result
//	filter.failed filter.go    or count the failure, and answer by on_failure
//
// A candidate in the shadow is asked later, and its answer only compared:
//
//	shadowing.copy shadow_copy.go    the question, before the filter is asked
//	copied.offer   shadow_copy.go    with the filter's answer into a bounded queue, or drop and count it
//	shadow.judge   shadow.go         ask the candidate's own instance; host functions: shadow_host.go
//	compare        shadow_compare.go count a difference, and keep a sample without content (shadow_sample.go)
//
// Loading is build.go: read, check (spec.go, module.go), meter (plugins/meter),
// compile (cache.go), complete what a bundled filter's entry leaves out
// (defaults.go), instantiate one guest a lane (pool.go) and spare ones of those
// that are dear to make (spares.go), fetch keys (plugins/keys). imports.go, verify.go and wasi.go are what a guest may call,
// capabilities.go what of it is granted. What a filter keeps on the node is in a
// plugins/store.Space for its name (keep.go), which the pools of that name hold: a
// chain is built before the one that it replaces is retired, so what is kept
// outlives a reload. A Tracer is told of calls and lines (trace.go).
// A Recorder is told of events, with what the host answered meanwhile, so that they
// can be replayed (record.go, record_calls.go).
// sdk/ABI.md is the normative text.
//
// # Goroutines
//
//	who                   started by            owns                        ended by
//	whoever calls Judge   the router            its lane, and instance i    -
//	                                            of every filter
//	reports.run           NewHost               the limits on logs          Host.Close
//	spares.fill           a lane that took a    the instance that it makes  its pool's retirement, Host.Close,
//	                      spare; one a pool                                 or when there are enough
//	guestMemory.Free      whoever discards an   memory to give back         itself; Host.Close waits
//	                      instance that grew
//	shadow.run            newPool, for a        the candidate's instance    its pool's retirement, Host.Close;
//	                      candidate in the                                  both wait for it
//	                      shadow
//	those of keys.Set     makePool, for a       the set's sources           its pool's retirement, Host.Close
//	                      filter with keys
//
// # Locks
//
// An event that makes a lookup holds nothing meanwhile but a pin of its chain,
// for which Retire waits (Chain.pin). Lookups are plugins/lookup; the chains share
// them as they share pools.
//
// In this order: Host.building, then a lane, then spares.mu, then Host.mu. shadow.mu
// and mirror.mu are taken alone, for a few assignments. Those of
// a store.Space are taken last, and under them only the clock is read.
// compiling is taken under Host.building alone. Guests run under their lane's
// lock only: that is what a lane is. No two lanes are held together.
package plugins
