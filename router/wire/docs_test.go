package wire

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// These tests hold docs/protocol.md against the code.

func protocol(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// section is the text under a heading of the second level.
func section(t *testing.T, heading string) string {
	t.Helper()
	_, rest, found := strings.Cut(protocol(t), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("there is no section %q", heading)
	}
	text, _, _ := strings.Cut(rest, "\n## ")
	return text
}

// entries are the parts of a section under "### `name`" headings, by name.
func entries(t *testing.T, heading string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, part := range strings.Split(section(t, heading), "\n### ")[1:] {
		title, text, _ := strings.Cut(part, "\n")
		for _, name := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(title, -1) {
			found[name[1]] = text
		}
	}
	return found
}

// rows are the cells of the table rows in a text, those under a header that
// starts with the word first.
func rows(text, first string) (found [][]string) {
	inside := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case !strings.HasPrefix(line, "|"):
			inside = false
		case strings.HasPrefix(line, "| "+first+" |"):
			inside = true
		case inside && !strings.HasPrefix(line, "|-"):
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
			}
			found = append(found, cells)
		}
	}
	return found
}

type example struct{ label, text string }

// examples are the blocks of JSON in a text, with what stands behind json.
func examples(text string) (found []example) {
	for _, m := range regexp.MustCompile("(?ms)^```json ?(.*?)\n(.*?)^```").FindAllStringSubmatch(text, -1) {
		found = append(found, example{m[1], m[2]})
	}
	return found
}

func TestEveryExampleSaysWhatItIs(t *testing.T) {
	text := protocol(t)
	all := examples(text)
	if fences := strings.Count(text, "```"); fences != 2*len(all) || len(all) < 25 {
		t.Errorf("%d examples, %d fences", len(all), fences)
	}
	for _, e := range all {
		if e.label != "command" && e.label != "event" && !strings.HasPrefix(e.label, "malformed ") {
			t.Errorf("%q:\n%s", e.label, e.text)
		}
	}
}

func TestEveryCommandInTheDocumentationIsDecoded(t *testing.T) {
	for _, e := range examples(protocol(t)) {
		switch kind, field, _ := strings.Cut(e.label, " "); kind {
		case "command":
			if _, err := decode(e.text); err != nil {
				t.Errorf("%s%v", e.text, err)
			}
		case "malformed":
			if _, err := decode(e.text); err == nil || err.Field != field {
				t.Errorf("%sgot %v, want an error about %s", e.text, err, field)
			}
		}
	}
}

func TestEveryCommandIsDocumentedWithItsFieldsAndAnExample(t *testing.T) {
	documented := entries(t, "Commands")
	for typ := JoinRoom; int(typ) < len(typeNames); typ++ {
		text, found := documented[typ.String()]
		if !found {
			t.Errorf("%s is not documented", typ)
			continue
		}
		delete(documented, typ.String())
		var required, optional fieldSet
		for _, row := range rows(text, "Field") {
			f := fieldOf([]byte(row[0]))
			if f == fieldUnknown {
				t.Errorf("%s has no field %s", typ, row[0])
			} else if row[2] == "yes" {
				required |= setOf(f)
			} else {
				optional |= setOf(f)
			}
		}
		if shape := shapes[typ]; required != shape.required || optional != shape.optional {
			t.Errorf("%s needs (%s) and may have (%s); documented are (%s) and (%s)", typ, shape.required, shape.optional, required, optional)
		}
		if !slices.ContainsFunc(examples(text), func(e example) bool {
			c, err := decode(e.text)
			return err == nil && c.Type == typ
		}) {
			t.Errorf("%s has no example", typ)
		}
	}
	for name := range documented {
		t.Errorf("%s is documented, and no command", name)
	}
}

// leastAndMost are each event as it is encoded with nothing optional, and with
// all of it.
func leastAndMost() map[string][2][]byte {
	raw := []byte(`{"name":"x"}`)
	id := []byte(`"id"`)
	message := AppendHistoryMessage(nil, &HistoryMessage{Info: raw, Content: raw})
	events := map[string][2][]byte{
		"welcome":   {AppendWelcome(nil, &Welcome{}), AppendWelcome(nil, &Welcome{ExpiresAt: 1})},
		"refreshed": {AppendRefreshed(nil, &Refreshed{}), AppendRefreshed(nil, &Refreshed{ID: id, ExpiresAt: 1})},
		"chat": {AppendDelivery(nil, &Delivery{Content: raw}),
			AppendDelivery(nil, &Delivery{Content: raw, Info: raw, Room: "r", Offset: 1, Direct: true})},
		"ack": {AppendAck(nil, &Acknowledgement{ID: id}), AppendAck(nil, &Acknowledgement{ID: id, Offset: 1, Epoch: "e"})},
		"joined": {AppendJoined(nil, &RoomJoined{}),
			AppendJoined(nil, &RoomJoined{ID: id, Epoch: "e", Asked: true, Recovered: true, Messages: message})},
		"history": {AppendHistory(nil, &HistoryPage{}),
			AppendHistory(nil, &HistoryPage{ID: id, Epoch: "e", Messages: message, Cursor: "c", Since: true})},
		"left": {AppendLeft(nil, nil, "r", ""), AppendLeft(nil, id, "r", "why")},
		"presence": {AppendPresence(nil, &PresencePage{}),
			AppendPresence(nil, &PresencePage{ID: id, Cursor: "c"})},
		"gap": {AppendGap(nil, &Gap{}), AppendGap(nil, &Gap{Room: "r", Epoch: "e"})},
		"error": {AppendError(nil, &Refusal{}),
			AppendError(nil, &Refusal{ID: id, Filter: "f", RetryAfterMS: 1})},
		"ping": {AppendPing(nil), AppendPing(nil)},
		"pong": {AppendPong(nil, nil), AppendPong(nil, id)},
	}
	for _, name := range []string{"user_joined", "user_left"} {
		events[name] = [2][]byte{AppendUserEvent(nil, name, "u", nil, "r"), AppendUserEvent(nil, name, "u", raw, "r")}
	}
	for _, name := range []string{"user_connected", "user_disconnected"} {
		events[name] = [2][]byte{AppendUserEvent(nil, name, "u", nil, ""), AppendUserEvent(nil, name, "u", raw, "")}
	}
	return events
}

func TestEveryEventIsDocumentedWithItsFieldsAndAnExample(t *testing.T) {
	documented := entries(t, "Events")
	for name, encoded := range leastAndMost() {
		text, found := documented[name]
		if !found {
			t.Errorf("%s is not documented", name)
			continue
		}
		delete(documented, name)
		always, all := map[string]bool{"event": true}, map[string]bool{"event": true}
		for _, row := range rows(text, "Field") {
			all[row[0]] = true
			if row[2] == "yes" {
				always[row[0]] = true
			}
		}
		least, most := objectOf(t, encoded[0]), objectOf(t, encoded[1])
		if !reflect.DeepEqual(always, namesOf(least)) || !reflect.DeepEqual(all, namesOf(most)) {
			t.Errorf("%s is encoded with %v to %v; documented are %v and %v", name, namesOf(least), namesOf(most), always, all)
		}
		if !slices.ContainsFunc(examples(text), func(e example) bool { return objectOf(t, []byte(e.text))["event"] == name }) {
			t.Errorf("%s has no example", name)
		}
	}
	for name := range documented {
		t.Errorf("%s is documented, and no event", name)
	}
}

func TestEveryEventInTheDocumentationIsOneThatANodeMaySend(t *testing.T) {
	encoded := leastAndMost()
	for _, e := range examples(protocol(t)) {
		if e.label != "event" {
			continue
		}
		if !strings.HasPrefix(e.text, `{"event":"`) {
			t.Errorf("event does not come first in %s", e.text)
		}
		got := objectOf(t, []byte(e.text))
		bounds, found := encoded[fmt.Sprint(got["event"])]
		if !found {
			t.Errorf("no such event: %s", e.text)
			continue
		}
		least, most := objectOf(t, bounds[0]), objectOf(t, bounds[1])
		for name := range least {
			if _, there := got[name]; !there {
				t.Errorf("%s is missing in %s", name, e.text)
			}
		}
		for name, value := range got {
			model, there := most[name]
			if !there {
				t.Errorf("%s does not belong in %s", name, e.text)
			} else if name != "id" && name != "content" && name != "info" && reflect.TypeOf(value) != reflect.TypeOf(model) {
				t.Errorf("%s has another type in %s", name, e.text)
			}
		}
	}
}

func TestEveryCodeIsDocumentedWithItsStatusAndCloseCode(t *testing.T) {
	documented := map[Code][2]string{}
	for _, row := range rows(section(t, "Errors"), "Code") {
		documented[Code(row[0])] = [2]string{row[1], row[2]}
	}
	want := map[Code][2]string{}
	for _, c := range []Code{BadRequest, Unauthorized, Forbidden, NotFound, Conflict, TooLarge, Invalid, RateLimited, Unavailable,
		Unsupported, "filter_<n>"} {
		want[c] = [2]string{strconv.Itoa(c.HTTPStatus()), strconv.Itoa(CloseCodeOf(c))}
	}
	if !reflect.DeepEqual(documented, want) {
		t.Errorf("\n got %v\nwant %v", documented, want)
	}
}

func TestEveryCloseCodeIsDocumented(t *testing.T) {
	var documented []string
	for _, row := range rows(section(t, "Close codes"), "Code") {
		documented = append(documented, row[0])
	}
	want := fmt.Sprint(CloseProtocol, CloseUnsupportedData, CloseInvalid, CloseTooBig, CloseInternal, CloseUnauthorized, CloseForbidden, ClosePolicy, CloseSlowConsumer, CloseRate,
		CloseSilent, CloseDraining, CloseExpired)
	if got := strings.Join(documented, " "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestEveryLimitIsDocumented(t *testing.T) {
	documented := map[string]string{}
	for _, row := range rows(section(t, "Frames"), "What") {
		documented[row[0]], _, _ = strings.Cut(row[1], " ")
	}
	for what, limit := range map[string]int{
		"nesting of arrays and objects": MaxDepth, "room and user names": MaxName, "id": MaxID, "key": MaxKey,
		"cursor": MaxCursor, "epoch": MaxEpoch, "limit": MaxLimit,
	} {
		if documented[what] != strconv.Itoa(limit) {
			t.Errorf("%s: got %q, want %d", what, documented[what], limit)
		}
	}
}

func TestEveryLinkInTheDocumentationLeadsToAHeading(t *testing.T) {
	text := protocol(t)
	anchors := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^##+ (.*)$`).FindAllStringSubmatch(text, -1) {
		anchor := regexp.MustCompile("[^a-z0-9_ -]").ReplaceAllString(strings.ToLower(m[1]), "")
		anchor = strings.ReplaceAll(anchor, " ", "-")
		for n, base := 1, anchor; anchors[anchor]; n++ {
			anchor = base + "-" + strconv.Itoa(n)
		}
		anchors[anchor] = true
	}
	for _, m := range regexp.MustCompile(`\]\(#([^)]*)\)`).FindAllStringSubmatch(text, -1) {
		if !anchors[m[1]] {
			t.Errorf("#%s leads nowhere", m[1])
		}
	}
}

func objectOf(t *testing.T, text []byte) (object map[string]any) {
	t.Helper()
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return object
}

func namesOf(object map[string]any) map[string]bool {
	names := map[string]bool{}
	for name := range maps.Keys(object) {
		names[name] = true
	}
	return names
}
