package program

import (
	"strings"
	"testing"
)

func TestALogIsFollowedBeyondALineOfAnyLength(t *testing.T) {
	long := strings.Repeat("x", 200<<10)
	for name, log := range map[string]string{
		"before": long + "\n" + `{"msg":"listening","clients":"ws://127.0.0.1:1/ws","admin":"http://127.0.0.1:2"}` + "\n",
		"behind": `{"msg":"listening","clients":"ws://127.0.0.1:1/ws","admin":"http://127.0.0.1:2"}` + "\n" + long + "\nlast",
		"within": `{"msg":"listening","clients":"ws://127.0.0.1:3/ws"` + strings.Repeat(" ", 100<<10) + "}\n" +
			`{"msg":"listening","clients":"ws://127.0.0.1:1/ws","admin":"http://127.0.0.1:2"}` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			p := &Process{}
			listening := make(chan struct{})
			p.follow(strings.NewReader(log), listening)
			select {
			case <-listening:
			default:
				t.Error("that it listens was not seen")
			}
			if p.Clients != "127.0.0.1:1" || p.Admin != "http://127.0.0.1:2" || p.log.String() != log {
				t.Errorf("clients %q, admin %q, %d bytes kept of %d", p.Clients, p.Admin, p.log.Len(), len(log))
			}
		})
	}
}
