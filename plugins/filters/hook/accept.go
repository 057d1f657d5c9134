package main

import sluice "sluice/sdk/go"

// accept lets the event go on, with what the result adds to it.
func accept(e *sluice.Event, result []byte) sluice.Verdict {
	switch e.Hook() {
	case sluice.HookConnect:
		return admit(e, result)
	case sluice.HookMessage:
		return pass(e, result)
	}
	return sluice.Continue // nothing can be added to a join
}

// badResult is what is wrong where a name is half of a surrogate pair: all that
// follows it would be passed over.
const badResult = "result has a name that cannot be read"

// pass lets a message go on, with other content if the result has data.
func pass(e *sluice.Event, result []byte) sluice.Verdict {
	j := sluice.ReadJSON(result)
	j.Object()
	for key, ok := j.Key(); ok; key, ok = j.Key() {
		switch value, _ := rawOrNull(&j); {
		case value == nil:
		case key == "data":
			e.Rewrite(value)
		case key == "b64data":
			return malformed(e, "result.b64data is not supported: content is JSON, so send data")
		}
	}
	if !j.Done() {
		return malformed(e, badResult)
	}
	return sluice.Continue
}

// grants is overwritten by every connect.
var grants []byte

// admit sets the identity of a connection.
func admit(e *sluice.Event, result []byte) sluice.Verdict {
	j := sluice.ReadJSON(result)
	j.Object()
	grants = append(grants[:0], '[')
	exact := false
	for key, ok := j.Key(); ok; key, ok = j.Key() {
		if j.Null() {
			continue
		}
		fault := ""
		switch key {
		case "user":
			fault = setUser(e, &j)
		case "expire_at":
			fault = setExpiry(e, &j)
		case "info":
			info, _ := j.Raw()
			e.SetInfo(info)
		case "claims", "meta":
			fault = setClaims(e, &j)
		case "grants":
			exact = true
			value, _ := j.Raw()
			e.SetGrants(value)
		case "channels":
			fault = addChannels(&j)
		case "subs":
			fault = addSubs(&j)
		case "b64info":
			fault = "result.b64info is not supported: send info"
		default:
			j.Raw()
		}
		if fault != "" {
			return malformed(e, fault)
		}
	}
	if !j.Done() {
		return malformed(e, badResult)
	}
	if len(grants) > 1 && !exact {
		grants = append(grants, ']')
		e.SetGrants(grants)
	}
	return sluice.Continue
}

func setUser(e *sluice.Event, j *sluice.JSON) (fault string) {
	user, ok := j.Text()
	if !ok {
		return "result.user has to be a string"
	}
	if user != "" { // "" is how Centrifugo says that it knows none
		e.SetUser(user)
	}
	return ""
}

// maxExpiry is the end of the year 9999, in Unix seconds.
const maxExpiry = 253402300799

func setExpiry(e *sluice.Event, j *sluice.JSON) (fault string) {
	at, ok := j.Int()
	if !ok || at < 0 || at > maxExpiry {
		return "result.expire_at has to be a time in Unix seconds"
	}
	if at > 0 {
		e.SetExpiresMillis(at * 1000)
	}
	return ""
}

func setClaims(e *sluice.Event, j *sluice.JSON) (fault string) {
	claims, _ := j.Raw()
	if len(claims) == 0 || claims[0] != '{' {
		return "result.claims, or meta, has to be an object"
	}
	e.SetClaims(claims)
	return ""
}

func addChannels(j *sluice.JSON) (fault string) {
	if !j.Array() {
		return badChannels
	}
	for j.Next() {
		name, ok := j.Text()
		if !ok {
			return badChannels
		}
		if fault = addChannel(name); fault != "" {
			return fault
		}
	}
	return ""
}

func addSubs(j *sluice.JSON) (fault string) {
	if !j.Object() {
		return "result.subs has to be an object"
	}
	for name, ok := j.Key(); ok; name, ok = j.Key() {
		if fault = addChannel(name); fault != "" {
			return fault
		}
		j.Raw()
	}
	return ""
}

const badChannels = "result.channels has to be a list of strings"

// addChannel adds a grant to listen in one room. A name is no pattern: a
// backend that composes names of what users say must not grant more by it.
func addChannel(name string) (fault string) {
	for i := range len(name) {
		if c := name[i]; c < ' ' || c == 0x7F || c == '*' || c == '$' && i+1 < len(name) && name[i+1] == '{' {
			return "result.channels has a name with a control character, * or ${: for patterns, send grants"
		}
	}
	if name == "" || len(name) > sluice.MaxName {
		return "result.channels has a name that is empty or has more than 255 bytes"
	}
	if len(grants) > 1 {
		grants = append(grants, ',')
	}
	grants = append(grants, `{"rooms":"`...)
	for i := range len(name) {
		if name[i] == '"' || name[i] == '\\' {
			grants = append(grants, '\\')
		}
		grants = append(grants, name[i])
	}
	grants = append(grants, `","allow":["join","presence","history"]}`...)
	if len(grants) >= sluice.MaxClaims {
		return "result.channels has more names than grants have room for: send grants with patterns"
	}
	return ""
}
