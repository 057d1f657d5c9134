package main

// suite is some benchmarks of one package.
type suite struct {
	title  string // that their names begin with in the comparison
	pkg    string // below the module
	bench  string // as of go test -bench
	by     string // the calibration that their times go with
	grows  bool   // queues grow meanwhile, so that allocations say how long it ran: they are left out
	ratios bool   // they measure ratios, in one go: of their figures only geomean-ratio is one
}

// The calibrations.
const (
	byCPU      = "Calibrate/cpu"
	bySyscalls = "Calibrate/syscalls"
)

var calibration = suite{pkg: "test/baseline", bench: "Calibrate"}

// chosen are the benchmarks that say what a message and a connection cost, layer by layer.
var chosen = []suite{
	{title: "Wire", pkg: "router/wire", bench: "DecodeRoomMessage128B|DecodeRoomMessage1KiB|EncodeChat|CheckJSON1KiB", by: byCPU},
	{title: "Filters", pkg: "plugins/filters", bench: "Policy/.*/128$", by: byCPU},
	{title: "Connect", pkg: "plugins/filters", bench: "DefaultChain/connect", by: byCPU},
	{title: "Host", pkg: "plugins", bench: "Call|ChainOfThree/128$", by: byCPU},
	{title: "Meter", pkg: "plugins/meter", bench: "Scans/1024$|Calls", ratios: true},
	{title: "Membroker", pkg: "router/membroker", bench: "Publish$/nodes=1/rooms=1000$", by: byCPU},
	{title: "Membroker", pkg: "router/membroker", bench: "PublishKept/history$", by: byCPU},
	{title: "Redisbroker", pkg: "router/redisbroker", bench: "Encode|Decode", by: byCPU},
	{title: "Router", pkg: "router", bench: "Publish$", by: byCPU},
	{title: "Router", pkg: "router", bench: "FanOut$/members=(1|100)$", by: byCPU, grows: true},
	{title: "Socket", pkg: "router/socket", bench: "Echo$", by: bySyscalls},
	{title: "Socket", pkg: "router/socket", bench: "FanOut$/100$", by: bySyscalls, grows: true},
}
