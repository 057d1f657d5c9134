package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"sluice/router"
)

// dialError is that a connection could not be had: nothing was sent.
type dialError struct{ cause error }

func (e *dialError) Error() string { return e.cause.Error() }
func (e *dialError) Unwrap() error { return e.cause }

// markDials is a hook that makes failures to connect dialErrors: those of asking
// the sentinels too.
type markDials struct{}

func (markDials) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := next(ctx, network, addr)
		if err != nil {
			return nil, &dialError{err}
		}
		return c, nil
	}
}

func (markDials) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (markDials) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// answered reports that err is what Redis said, nil included.
func answered(err error) bool {
	if err == nil {
		return true // before answer takes memory
	}
	var answer redis.Error
	return errors.As(err, &answer)
}

// unsent reports that a command with this error cannot have reached Redis.
func unsent(err error) bool {
	var dial *dialError
	return errors.As(err, &dial) || errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrPoolExhausted) || errors.Is(err, redis.ErrClosed)
}

// notAlive are the answers of a Redis that serves nobody at present.
func notAlive(err error) bool {
	return redis.IsReadOnlyError(err) || redis.IsLoadingError(err) || redis.IsMasterDownError(err) || redis.IsNoReplicasError(err) ||
		redis.IsClusterDownError(err) || redis.IsAuthError(err) || redis.IsMaxClientsError(err)
}

// unavailable is that a command was not executed, and may be later.
func (s *shard) unavailable(cause error) error {
	return fmt.Errorf("redis %s: %w: %w", s.name, router.ErrUnavailable, cause)
}

// unknown is that a command was sent, and not answered.
func (s *shard) unknown(cause error) error {
	return fmt.Errorf("redis %s: %w: %w; it may have been accepted", s.name, router.ErrUnavailable, cause)
}

// redirects reports an answer by which a Cluster sends a command elsewhere, or
// lets it wait for keys that are on their way.
func redirects(err error) bool {
	if err == nil {
		return false
	}
	_, moved := redis.IsMovedError(err)
	_, ask := redis.IsAskError(err)
	return moved || ask || redis.IsTryAgainError(err)
}

// movedTo reports an answer by which a Cluster sends a command to an address. A node
// that knows no name of its own for it says the port alone.
func movedTo(answer, address string) bool {
	rest, moved := strings.CutPrefix(answer, "MOVED ")
	_, to, _ := strings.Cut(rest, " ")
	return moved && to != "" && strings.HasSuffix(address, to)
}

// refusal is an error that Redis answered.
type refusal string

func (r refusal) Error() string { return "redis refused: " + string(r) }

// errMoved stands for a slot that has left its master.
const errMoved = refusal("MOVED")

// redirected reports an error that passes when the Cluster's slots have settled,
// or Redis has loaded its data or ended a script.
func redirected(err error) bool {
	var r refusal
	if !errors.As(err, &r) {
		return false
	}
	word, _, _ := strings.Cut(string(r), " ")
	switch word {
	case "MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "LOADING", "BUSY", "MASTERDOWN":
		return true
	}
	return false
}

// illnesses are what is wrong, each cause said once, in one line.
type illnesses []error

// joined is nil if there is no error.
func joined(errs ...error) error {
	var all illnesses
	for _, err := range errs {
		same := func(other error) bool { return other.Error() == err.Error() }
		if err != nil && !slices.ContainsFunc(all, same) {
			all = append(all, err)
		}
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return all
}

func (i illnesses) Error() string {
	texts := make([]string, len(i))
	for n, err := range i {
		texts[n] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (i illnesses) Unwrap() []error { return i }
