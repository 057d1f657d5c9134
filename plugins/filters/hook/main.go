// Command hook is a filter that acts on what a backend says of a connect, a join
// or a message. The lookup of its entry asks the backend; the answer comes with
// the event, in the form of the results of Centrifugo's proxy.
//
// It is built to be small: no fmt, no encoding/json, no reflection.
package main

import sluice "sluice/sdk/go"

// settings is the configuration.
type settings struct {
	asked     [sluice.HookMessage + 1]bool // the hooks that need an answer
	onFailure bool                         // go on where a join or message got no answer
}

var config settings

//go:wasmexport on_configure
func onConfigure(e *sluice.Event) sluice.Verdict {
	read, fault := readSettings(e.Payload())
	if fault != "" {
		return e.Deny(sluice.Invalid, fault)
	}
	config = read
	return sluice.Continue
}

//go:wasmexport on_connect
func onConnect(e *sluice.Event) sluice.Verdict { return judge(e) }

//go:wasmexport on_join
func onJoin(e *sluice.Event) sluice.Verdict { return judge(e) }

//go:wasmexport on_message
func onMessage(e *sluice.Event) sluice.Verdict { return judge(e) }

// What clients are told where there is no answer to act on. What was wrong goes
// to the log.
const (
	noAnswer  = "the backend cannot be asked now"
	badAnswer = "the backend gave no valid answer"
)

func judge(e *sluice.Event) sluice.Verdict {
	value, status := e.Lookup()
	switch status {
	case sluice.LookupFound:
		return act(e, value)
	case sluice.LookupMissed:
		return unanswered(e, "answers_missed")
	case sluice.LookupFailed:
		return unanswered(e, "answers_failed")
	}
	if !config.asked[e.Hook()] {
		return sluice.Continue
	}
	count("not_asked")
	sluice.Log(sluice.Error, hookName(e)+" has to be asked about, and no lookup was made: add "+hookName(e)+
		" to the entry's lookup.on, or take it out of config.on")
	return e.Deny(sluice.Unavailable, noAnswer)
}

// unanswered is a question that got no answer, or that the backend answered
// with 404. A connect is never let through: its identity would be missing.
func unanswered(e *sluice.Event, metric string) sluice.Verdict {
	count(metric)
	if config.onFailure && e.Hook() != sluice.HookConnect {
		return sluice.Continue
	}
	return e.Deny(sluice.Unavailable, noAnswer)
}

// malformed is an answer that cannot be acted on.
func malformed(e *sluice.Event, fault string) sluice.Verdict {
	count("answers_malformed")
	sluice.Log(sluice.Warn, "the backend's answer to a "+hookName(e)+": "+fault)
	return e.Deny(sluice.Unavailable, badAnswer)
}

// count adds to a metric. That it could not is no reason to judge otherwise.
func count(metric string) { _ = sluice.MetricAdd(metric, 1) }

func hookName(e *sluice.Event) string {
	switch e.Hook() {
	case sluice.HookConnect:
		return "connect"
	case sluice.HookJoin:
		return "join"
	}
	return "message"
}

func main() {}
