// Package plugins is the host of the WebAssembly filters: it loads them, and
// runs them on the path of every event.
//
// # Path of an event
//
//	Chain.Judge   chain.go     take a lane; is the chain still the current one?
//	filter.run    filter.go    which filters have the hook, and match the room
//	question      event.go     write the event into the guest's buffer
//	instance.ask  instance.go  call the hook, within fuel, time and stack
//	filter.read   outputs.go   check the verdict and every output it uses
//	filter.take   filter.go    carry it out: the next filter sees the result
//	filter.failed filter.go    or count the failure, and answer by on_failure
//
// Loading is build.go: read, check (spec.go, module.go), meter (plugins/meter),
// compile (cache.go), complete what a bundled filter's entry leaves out
// (defaults.go), instantiate one guest a lane (pool.go) and spare ones of those
// that are dear to make (spares.go), fetch keys (plugins/keys). imports.go, verify.go and wasi.go are what a guest may call.
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
//	those of keys.Set     makePool, for a       the set's sources           its pool's retirement, Host.Close
//	                      filter with keys
//
// # Locks
//
// In this order: Host.building, then a lane, then spares.mu, then Host.mu.
// compiling is taken under Host.building alone. Guests run under their lane's
// lock only: that is what a lane is. No two lanes are held together.
package plugins
