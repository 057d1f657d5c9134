package plugins

import (
	"log/slog"

	"sluice/router"
)

// Tracer is told what filters do, call by call. It is for tests, benchmarks and
// other tools, which run one event at a time: its methods are called under the
// lane's lock, so they must not block, and must not call the host.
type Tracer interface {
	// Called reports one call of a hook, on_configure included.
	Called(c Call)

	// Logged reports a line that a filter logs, as soon as it does. The node's
	// limits on rate and length do not apply.
	Logged(filter string, level slog.Level, line string)
}

// Call is one call of a filter's hook.
type Call struct {
	Filter  string
	Hook    router.Hook
	Verdict int32  // as the guest returned it; meaningless if Failure is set by a call that did not return
	Fuel    int64  // units of work that the call was charged, with the sluice_buffer before it; see plugins/meter
	Memory  uint64 // bytes of linear memory after it
	Failure Cause  // CauseNone: the answer was accepted
	Detail  string // of the failure
}

// beginTrace notes how much fuel there is before what is traced next.
func (in *instance) beginTrace() {
	if in.traced {
		in.refilled, in.fuelAt = 0, int64(in.fuel.Get())
	}
}

// trace tells the tracer of a call. The instance is still open.
func (in *instance) trace(hook router.Hook, verdict int32, fail *failure) {
	if in.traced {
		in.tell(hook, verdict, fail)
	}
}

func (in *instance) tell(hook router.Hook, verdict int32, fail *failure) {
	c := Call{
		Filter: in.pool.key.name, Hook: hook, Verdict: verdict, Memory: uint64(in.mem.Size()),
		Fuel: in.fuelAt + in.refilled - int64(in.fuel.Get()),
	}
	if fail != nil {
		c.Failure, c.Detail = fail.cause, fail.detail
	}
	in.pool.host.tracer.Called(c)
}
