package main

import sluice "sluice/sdk/go"

// readSettings reads the configuration, or says what is wrong with it.
func readSettings(text []byte) (s settings, fault string) {
	j := sluice.ReadJSON(text)
	if !j.Object() {
		return s, "the configuration has to be an object"
	}
	everything := true
	for key, ok := j.Key(); ok; key, ok = j.Key() {
		switch key {
		case "on":
			everything = false
			if fault = s.readHooks(&j); fault != "" {
				return s, fault
			}
		case "on_failure":
			how, _ := j.Text()
			if how != "deny" && how != "continue" {
				return s, "on_failure has to be deny or continue"
			}
			s.onFailure = how == "continue"
		default:
			return s, cut("unknown key " + key + ": known are on, on_failure")
		}
	}
	if !j.Done() {
		return s, "the configuration has a key that cannot be read"
	}
	if everything {
		s.asked[sluice.HookConnect], s.asked[sluice.HookJoin], s.asked[sluice.HookMessage] = true, true, true
	}
	return s, ""
}

func (s *settings) readHooks(j *sluice.JSON) (fault string) {
	s.asked = settings{}.asked
	if !j.Array() {
		return "on has to be a list of hooks"
	}
	for j.Next() {
		switch name, _ := j.Text(); name {
		case "connect":
			s.asked[sluice.HookConnect] = true
		case "join":
			s.asked[sluice.HookJoin] = true
		case "message":
			s.asked[sluice.HookMessage] = true
		default:
			return "on has to name connect, join or message"
		}
	}
	return ""
}
