package router_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"sluice/router"
	"sluice/router/membroker"
)

// say sends numbered messages to a room and waits until all have come back to the
// sender, who is in it; it is the last one's place.
func (c *client) say(room string, from, to int) (last place) {
	c.t.Helper()
	for i := from; i <= to; i++ {
		c.send(fmt.Sprintf(`{"type":"room_message","room":%q,"content":%d,"id":%d}`, room, i, i))
	}
	for answered := 0; answered < 2*(to-from+1); answered++ {
		switch e := c.next(); e.name() {
		case "ack":
			if e["offset"] != nil {
				last = e.place()
			}
		case "chat":
		default:
			c.t.Fatalf("got %v", e)
		}
	}
	return last
}

// place is an event's place in a history.
func (e event) place() place { return place{e.str("epoch"), e.number("offset")} }

func (e event) number(field string) int { f, _ := e[field].(float64); return int(f) }

type place struct {
	Epoch  string `json:"epoch"`
	Offset int    `json:"offset"`
}

func (p place) String() string { b, _ := json.Marshal(p); return string(b) }

// contents are the messages of an answer, as numbers, with a check of their fields.
func contents(t testing.TB, e event) (numbers []int) {
	t.Helper()
	list, ok := e["messages"].([]any)
	if !ok {
		t.Fatalf("no messages in %v", e)
	}
	before := 0
	for _, m := range list {
		m := event(m.(map[string]any))
		if m.str("from") == "" || m.str("message_id") == "" || m.number("time") == 0 || m.number("offset") <= before {
			t.Fatalf("a message is %v", m)
		}
		before = m.number("offset")
		numbers = append(numbers, m.number("content"))
	}
	return numbers
}

func numbers(from, to int) (list []int) {
	for i := from; i <= to; i++ {
		list = append(list, i)
	}
	return list
}

func wantNumbers(t testing.TB, what string, got []int, from, to int) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(numbers(from, to)) {
		t.Errorf("%s: got %v, want %d to %d", what, got, from, to)
	}
}

func TestMessagesOfARoomWithAHistoryHaveTheirPlaceInIt(t *testing.T) {
	u := startNode(t, silent, keeping("r", 10)).as(t, "ann")
	joined := u.join("r")
	epoch := joined.str("epoch")
	if epoch == "" || joined["offset"] != 0.0 {
		t.Fatalf("got %v", joined)
	}
	u.send(`{"type":"room_message","room":"r","content":1,"id":1}`)
	for range 2 {
		switch e := u.next(); e.name() {
		case "ack":
			if e.place() != (place{epoch, 1}) {
				t.Errorf("got %v", e)
			}
		case "chat":
			if e["offset"] != 1.0 {
				t.Errorf("got %v", e)
			}
		}
	}
	v := u.join("q")
	u.send(`{"type":"room_message","room":"q","content":1,"id":2}`)
	for range 2 {
		if e := u.next(); e["offset"] != nil || e["epoch"] != nil {
			t.Errorf("without a history: got %v", e)
		}
	}
	if v["offset"] != nil || v["epoch"] != nil {
		t.Errorf("without a history: got %v", v)
	}
}

func TestTheNewestMessagesAreReadAndThoseBeforePageByPage(t *testing.T) {
	u := startNode(t, silent, keeping("r", 100)).as(t, "ann")
	u.join("r")
	last := u.say("r", 1, 25)
	e := u.ask(`{"type":"history","room":"r","limit":10,"id":"h"}`)
	if e.name() != "history" || e["id"] != "h" || e.place() != last || e["more"] != true || e["gapless"] != nil {
		t.Fatalf("got %v", e)
	}
	wantNumbers(t, "the newest", contents(t, e), 16, 25)
	u.say("r", 26, 27) // does not move the pages
	e = u.ask(`{"type":"history","room":"r","limit":10,"cursor":"` + e.str("cursor") + `"}`)
	wantNumbers(t, "before", contents(t, e), 6, 15)
	e = u.ask(`{"type":"history","room":"r","limit":10,"cursor":"` + e.str("cursor") + `"}`)
	wantNumbers(t, "the oldest", contents(t, e), 1, 5)
	if e["more"] != false || e["cursor"] != nil {
		t.Errorf("got %v", e)
	}
}

func TestWhatWasSaidSinceAMessageIsReadOldestFirst(t *testing.T) {
	u := startNode(t, silent, keeping("r", 20)).as(t, "ann")
	begin := u.join("r").place()
	last := u.say("r", 1, 15)
	ask := func(since place, limit int) event {
		return u.ask(fmt.Sprintf(`{"type":"history","room":"r","limit":%d,"since":%v}`, limit, since))
	}
	e := ask(begin, 10)
	wantNumbers(t, "since the beginning", contents(t, e), 1, 10)
	if e["gapless"] != true || e["more"] != true || e["cursor"] != nil {
		t.Errorf("got %v", e)
	}
	e = ask(place{begin.Epoch, 10}, 10)
	wantNumbers(t, "since the tenth", contents(t, e), 11, 15)
	if e["gapless"] != true || e["more"] != false {
		t.Errorf("got %v", e)
	}
	if e = ask(last, 10); len(contents(t, e)) != 0 || e["gapless"] != true || e["more"] != false || e.place() != last {
		t.Errorf("since the newest: got %v", e)
	}
	u.say("r", 16, 30) // the first ten are not kept any more
	if e = ask(place{begin.Epoch, 5}, 100); e["gapless"] != false {
		t.Errorf("since what is not kept: got %v", e)
	}
	if e = ask(place{begin.Epoch, 10}, 100); e["gapless"] != true {
		t.Errorf("since just before what is kept: got %v", e)
	}
	if e = ask(place{"another", 10}, 100); e["gapless"] != false {
		t.Errorf("since another epoch: got %v", e)
	}
}

func TestHistoryNeedsMembershipAGrantAndARuleThatKeepsIt(t *testing.T) {
	grants := grantsOf(t, `[{"rooms":"*","allow":["join","send"]},{"rooms":"open","allow":["history"]}]`, "ann")
	f := newFilters().on(router.HookConnect, func(e *router.Event) { e.Verdict.Identity = &router.Identity{User: "ann", Grants: grants} })
	u := startNode(t, withFilters(f), keeping("open", 5), keeping("closed", 5)).connect(t, "")
	u.refusedWith("forbidden", `{"type":"history","room":"open"}`)
	for _, room := range []string{"open", "closed", "other"} {
		u.join(room)
	}
	u.refusedWith("forbidden", `{"type":"history","room":"closed"}`)
	if e := u.ask(`{"type":"history","room":"open"}`); e.name() != "history" || len(contents(t, e)) != 0 {
		t.Errorf("got %v", e)
	}
	v := startNode(t, silent, keeping("r", 5)).as(t, "bob")
	v.join("q")
	v.refusedWith("unsupported", `{"type":"history","room":"q"}`)
}

func TestWhoMayNotReadAHistoryDoesNotGetItByComingBack(t *testing.T) {
	grants := grantsOf(t, `[{"rooms":"*","allow":["join","send"]},{"rooms":"open","allow":["history"]}]`, "ann")
	f := newFilters().on(router.HookConnect, func(e *router.Event) { e.Verdict.Identity = &router.Identity{User: "ann", Grants: grants} })
	n := startNode(t, withFilters(f), keeping("*", 5))
	for _, room := range []string{"open", "closed"} {
		u, back := n.connect(t, ""), n.connect(t, "")
		begin := u.join(room).place()
		last := u.say(room, 1, 3)
		mayRead := room == "open"
		if e := back.recover(room, begin); e["recovered"] != mayRead || (e["messages"] != nil) != mayRead || e.place() != last {
			t.Errorf("%s: got %v", room, e)
		}
		if e := back.recover(room, begin); e["recovered"] != mayRead || (e["messages"] != nil) != mayRead {
			t.Errorf("%s, joined again: got %v", room, e)
		}
		if e := back.recover(room, last); e["recovered"] != true || len(contents(t, e)) != 0 {
			t.Errorf("%s, nothing was missed: got %v", room, e)
		}
	}
}

func TestAPageOfHistoryIsShortenedToWhatAnEventMayHoldAndNeverStuck(t *testing.T) {
	n := startNode(t, silent, keeping("r", 100), withLimits(func(l *router.Limits) { l.Frame, l.Queue = 512<<10, 16<<20 }))
	u := n.as(t, "ann")
	u.join("r")
	sizes := []int{60 << 10, 60 << 10, 300 << 10, 60 << 10, 60 << 10, 60 << 10, 60 << 10, 60 << 10, 60 << 10}
	for _, size := range sizes {
		u.send(`{"type":"room_message","room":"r","content":"` + strings.Repeat("x", size) + `"}`)
		u.expect("chat")
	}
	read := func(next func(e event) (more string)) (lengths []int) {
		t.Helper()
		for command := `{"type":"history","room":"r","limit":1000`; ; {
			e := u.ask(command + "}")
			size := 0
			var page []int
			for _, m := range e["messages"].([]any) {
				page = append(page, len(event(m.(map[string]any)).str("content")))
				size += page[len(page)-1]
			}
			if len(page) == 0 || len(page) > 1 && size > 256<<10 {
				t.Fatalf("a page of %d bytes in %d messages", size, len(page))
			}
			if strings.Contains(command, "since") {
				lengths = append(lengths, page...)
			} else {
				lengths = append(page, lengths...)
			}
			more := next(e)
			if more == "" {
				return lengths
			}
			command = `{"type":"history","room":"r","limit":1000,` + more
		}
	}
	backwards := read(func(e event) string {
		if e["cursor"] == nil {
			return ""
		}
		return `"cursor":"` + e.str("cursor") + `"`
	})
	epoch := ""
	begun := false
	forwards := read(func(e event) string {
		if !begun { // the first answer was without since: begin anew with it
			begun, epoch = true, e.str("epoch")
			return fmt.Sprintf(`"since":%v`, place{epoch, 0})
		}
		if e["more"] != true {
			return ""
		}
		list := e["messages"].([]any)
		return fmt.Sprintf(`"since":%v`, place{epoch, event(list[len(list)-1].(map[string]any)).number("offset")})
	})
	if fmt.Sprint(backwards) != fmt.Sprint(sizes) {
		t.Errorf("backwards: got %v", backwards)
	}
	if forwards = forwards[len(forwards)-len(sizes):]; fmt.Sprint(forwards) != fmt.Sprint(sizes) {
		t.Errorf("forwards: got %v", forwards)
	}
}

func TestPlacesThatAHistoryCannotHaveAreAnsweredAndHarmNothing(t *testing.T) {
	u := startNode(t, silent, keeping("r", 10)).as(t, "ann")
	epoch := u.join("r").str("epoch")
	u.say("r", 1, 3)
	for _, since := range []string{
		`{"epoch":"` + epoch + `","offset":18446744073709551615}`,
		`{"epoch":"` + epoch + `","offset":18446744073709551614}`,
		`{"epoch":"` + epoch + `","offset":9223372036854775808}`,
		`{"epoch":"` + epoch + `","offset":4}`,
		`{"epoch":"` + strings.Repeat("e", 64) + `","offset":0}`,
		`{"epoch":"\u0000:{}%\"","offset":1}`,
	} {
		e := u.ask(`{"type":"history","room":"r","since":` + since + `}`)
		if e.name() != "history" || e["gapless"] == true && len(contents(t, e)) > 0 {
			t.Errorf("since %s: got %v", since, e)
		}
		e = u.ask(`{"type":"join_room","room":"r","recover":` + since + `}`)
		if e.name() != "joined" || e["recovered"] != false {
			t.Errorf("recover %s: got %v", since, e)
		}
	}
	for _, cursor := range []string{"x", "0." + epoch, "-1." + epoch, "2", "2.", "2.another", "18446744073709551616." + epoch, strings.Repeat("9", 1000)} {
		u.refusedWith("bad_request", `{"type":"history","room":"r","cursor":"`+cursor+`"}`)
	}
	u.refusedWith("bad_request", `{"type":"history","room":"r","cursor":"2.`+epoch+`","since":{"epoch":"`+epoch+`","offset":1}}`)
	e := u.ask(`{"type":"history","room":"r","cursor":"18446744073709551615.` + epoch + `"}`)
	wantNumbers(t, "before the last offset there can be", contents(t, e), 1, 3)
	u.say("r", 4, 5)
}

func TestAHistoryThatCannotBeReadIsATemporaryError(t *testing.T) {
	b := &broker{history: func(string, router.HistoryQuery) error { return fmt.Errorf("%w: away", router.ErrUnavailable) }}
	u := startNodeWith(t, b, membroker.New(), silent, keeping("r", 10)).as(t, "ann")
	u.join("r")
	u.refusedWith("unavailable", `{"type":"history","room":"r"}`)
}
