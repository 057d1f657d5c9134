package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"sluice/router/wire"
)

// maxBatchKey bounds the idempotency key of a batch, to which the commands' places are
// added.
const maxBatchKey = wire.MaxKey - len("/1000")

// maxBatchAnswers is how many bytes of answers a batch gathers before it carries out no more
// commands with long ones.
const maxBatchAnswers = 16 << 20

// result is what became of one command.
type result struct {
	Answer json.RawMessage `json:"answer,omitempty"`
	Error  *problem        `json:"error,omitempty"`
}

type results struct {
	Results []result `json:"results"`
	Failed  int      `json:"failed"`
}

// batch answers POST /api/batch: commands, carried out one after the other. One that
// fails does not keep the next from being carried out.
func (o Options) batch(counts *apiCounts) http.Handler {
	return counts.counting("batch", func(w http.ResponseWriter, r *http.Request) *problem {
		if r.URL.RawQuery != "" {
			return badRequest("parameters belong into the body, not into the query")
		}
		raw, p := readAll(w, r, batchBody(o.Router))
		if p != nil {
			return p
		}
		var commands []json.RawMessage
		if p := decodeObject(raw, []field{{"commands", &commands, true}}); p != nil {
			return p
		}
		key := r.Header.Get(keyHeader)
		switch {
		case len(commands) == 0:
			return badRequest("commands is empty; give at least one")
		case len(commands) > maxCommands:
			return badRequest("commands has %d, and %d are allowed; send several batches", len(commands), maxCommands)
		case len(key) > maxBatchKey:
			return badRequest("the header %s of a batch has at most %d bytes", keyHeader, maxBatchKey)
		}
		ctx, cancel := bounded(w, r)
		defer cancel()
		writeJSON(w, http.StatusOK, o.each(ctx, commands, key, counts))
		return nil
	})
}

// each carries out commands one after the other.
func (o Options) each(ctx context.Context, commands []json.RawMessage, key string, counts *apiCounts) *results {
	all := &results{Results: make([]result, len(commands))}
	size := 0
	for i, one := range commands {
		own := ""
		if key != "" {
			own = key + "/" + strconv.Itoa(i)
		}
		r := o.one(ctx, one, own, size > maxBatchAnswers, counts)
		if r.Error != nil {
			all.Failed++
		}
		size += len(r.Answer)
		all.Results[i] = r
	}
	return all
}

// one carries out a command of a batch: {"publish": {…}}. full says that there is no room
// for long answers.
func (o Options) one(ctx context.Context, raw json.RawMessage, key string, full bool, counts *apiCounts) result {
	bodies := make([]json.RawMessage, len(operations))
	all := make([]field, len(operations))
	for i := range operations {
		all[i] = field{operations[i].name, &bodies[i], false}
	}
	if p := decodeObject(raw, all); p != nil {
		return result{Error: p}
	}
	chosen := -1
	for i, body := range bodies {
		if body == nil {
			continue
		}
		if chosen >= 0 {
			return result{Error: badRequest("a command has one operation; %s and %s are two", operations[chosen].name, operations[i].name)}
		}
		chosen = i
	}
	if chosen < 0 {
		return result{Error: badRequest("a command has one operation, such as {\"publish\": {…}}; known are %s", names(all))}
	}
	op := &operations[chosen]
	answer, p := o.oneOf(ctx, op, bodies[chosen], key, full)
	counts.add(op.name, p)
	if p != nil {
		return result{Error: p}
	}
	return result{Answer: mustMarshal(answer)}
}

func (o Options) oneOf(ctx context.Context, op *operation, body json.RawMessage, key string, full bool) (any, *problem) {
	cmd := op.make()
	if p := decodeObject(body, cmd.fields()); p != nil {
		return nil, p
	}
	if m, ok := cmd.(interface{ defaultKey(key string) }); ok {
		m.defaultKey(key)
	}
	if ctx.Err() != nil {
		return nil, &problem{Code: string(wire.Unavailable), Reason: "the batch took too long, and this command was not begun; send it again",
			RetryAfterMS: 1000, status: http.StatusServiceUnavailable}
	}
	several, isPublish := cmd.(*publish)
	if full && (op.reads || isPublish && several.rooms != nil) {
		return nil, &problem{Code: string(wire.TooLarge), Reason: fmt.Sprintf("the answers of this batch have more than %d bytes; send the rest in another", maxBatchAnswers),
			status: http.StatusRequestEntityTooLarge}
	}
	return cmd.do(ctx, o.Router)
}
