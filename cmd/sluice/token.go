package main

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/spf13/cobra"

	"sluice/router"
	"sluice/router/wire"
)

// tokenRequest is what a token is asked to say.
type tokenRequest struct {
	Filter  string // "": the only one that has keys
	User    string
	Expires time.Duration
	Grants  string   // JSON; "": no claim, so that the configured default holds
	Claims  []string // name=value
	Kid     string
}

func newTokenCommand(from *sources, stdout io.Writer) *cobra.Command {
	var ask tokenRequest
	var expires string
	cmd := &cobra.Command{
		Use:   "token --user NAME",
		Short: "Make a token that a filter of the configuration accepts",
		Long: "Makes a JSON Web Token, signed with the first key of the filter that can sign: a secret, or a\n" +
			"private key. Issuer, audience and the names of claims are those of the filter's configuration.\n" +
			"The token alone is printed. Who has it is that user until it expires.",
		Example: "  sluice token --user ann --expires 10m\n" +
			"  sluice token --user ann --grants '[{\"rooms\":\"chat:*\",\"allow\":[\"join\",\"send\"]}]' --claim name=Ann",
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			l, err := load(*from)
			if err != nil {
				return err
			}
			if ask.Expires, err = parseDuration(expires); err != nil {
				return fmt.Errorf("--expires: %w", err)
			}
			token, err := l.mint(&ask)
			if err == nil {
				_, err = fmt.Fprintln(stdout, token)
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&from.File, "config", "", "the configuration file (config.yaml of the working directory, if there is one)")
	flags.StringVar(&ask.Filter, "filter", "", "the filter that the token is for (the only one that has keys)")
	flags.StringVar(&ask.User, "user", "", "the user; required")
	flags.StringVar(&expires, "expires", "1h", "time until the token expires")
	flags.StringVar(&ask.Grants, "grants", "", `what the user may do, as JSON; without it, default_grants`)
	flags.StringArrayVar(&ask.Claims, "claim", nil, "another claim, as name=value; the value is JSON, or else text; may be repeated")
	flags.StringVar(&ask.Kid, "kid", "", "the kid of the key to sign with")
	return cmd
}

// issuance is what the configuration of an authenticating filter says that a
// token needs. Its other keys do not concern who makes one.
type issuance struct {
	Issuer   oneOf `json:"issuer"`
	Audience oneOf `json:"audience"`
	Claims   struct {
		User    string `json:"user"`
		Grants  string `json:"grants"`
		Expires string `json:"expires"`
	} `json:"claims"`
	Required   requirements `json:"required"`
	DeepGrants bool         `json:"deep_grants"`
}

// oneOf is a text, or the first of a list: a token needs one of them.
type oneOf string

func (o *oneOf) UnmarshalJSON(raw []byte) error {
	var list []string
	if json.Unmarshal(raw, &list) == nil && len(list) > 0 {
		*o = oneOf(list[0])
		return nil
	}
	return json.Unmarshal(raw, (*string)(o))
}

// requirements are claims that a token must have: by name, with the value that
// is asked for, or nil for any.
type requirements map[string]json.RawMessage

func (r *requirements) UnmarshalJSON(raw []byte) error {
	var list []string
	if json.Unmarshal(raw, &list) != nil {
		return json.Unmarshal(raw, (*map[string]json.RawMessage)(r))
	}
	*r = make(requirements, len(list))
	for _, name := range list {
		(*r)[name] = nil
	}
	return nil
}

// mint makes a token.
func (l *loaded) mint(ask *tokenRequest) (string, error) {
	f, err := l.issuer(ask.Filter)
	if err != nil {
		return "", err
	}
	signer, err := f.signer(ask.Kid)
	if err != nil {
		return "", err
	}
	claims, err := ask.claims(f)
	if err != nil {
		return "", err
	}
	return jwt.Signed(signer).Claims(claims).Serialize()
}

// issuer is the filter that tokens are for.
func (l *loaded) issuer(name string) (*FilterConfig, error) {
	var with []string
	var only *FilterConfig
	for i := range l.Filters {
		f := &l.Filters[i]
		if len(f.Keys) > 0 {
			with, only = append(with, f.Name), f
		}
		if f.Name == name {
			if len(f.Keys) == 0 {
				return nil, fmt.Errorf("filter %s has no keys; add to it, as in keys: [{alg: HS256, secret: \"${NAME}\"}]", name)
			}
			return f, nil
		}
	}
	switch {
	case name != "":
		return nil, fmt.Errorf("the configuration has no filter %q; filters with keys: %s", name, cmp.Or(strings.Join(with, ", "), "none"))
	case len(with) == 0:
		return nil, errors.New("no filter of the configuration has keys; add one that authenticates, as builtin:auth with keys: [{alg: HS256, secret: \"${NAME}\"}]")
	case len(with) > 1:
		return nil, fmt.Errorf("several filters have keys: %s; name one with --filter", strings.Join(with, ", "))
	}
	return only, nil
}

// claims are the claims of the token.
func (ask *tokenRequest) claims(f *FilterConfig) (map[string]any, error) {
	if err := ask.check(); err != nil {
		return nil, err
	}
	var need issuance
	if len(f.Config) > 0 {
		if err := json.Unmarshal(f.Config, &need); err != nil {
			return nil, fmt.Errorf("filter %s: its config is not that of builtin:auth: %w", f.Name, err)
		}
	}
	user, grants, expires := cmp.Or(need.Claims.User, "sub"), cmp.Or(need.Claims.Grants, "grants"), cmp.Or(need.Claims.Expires, "exp")
	now := time.Now()
	claims := map[string]any{"iat": now.Unix(), "jti": rand.Text()}
	for name, value := range need.Required {
		if value != nil {
			claims[name] = value
		}
	}
	if need.Issuer != "" {
		claims["iss"] = need.Issuer
	}
	if need.Audience != "" {
		claims["aud"] = need.Audience
	}
	if err := ask.addClaims(claims, user, grants, expires); err != nil {
		return nil, err
	}
	claims[user], claims[expires] = ask.User, now.Add(ask.Expires).Unix()
	if ask.Grants != "" {
		if !need.DeepGrants && isDeep(ask.Grants) {
			return nil, fmt.Errorf("--grants: filter %s refuses tokens that grant rooms with **; use * or, if they are meant, add deep_grants: true to its config", f.Name)
		}
		claims[grants] = json.RawMessage(ask.Grants)
	}
	for _, name := range slices.Sorted(maps.Keys(need.Required)) {
		if _, ok := claims[name]; !ok {
			return nil, fmt.Errorf("filter %s requires the claim %s; add --claim %s=…", f.Name, name, name)
		}
	}
	return claims, nil
}

func (ask *tokenRequest) check() error {
	if ask.User == "" {
		return errors.New("--user is missing: who the token is for")
	}
	if why := wire.CheckName([]byte(ask.User)); why != "" {
		return fmt.Errorf("--user %s", why)
	}
	if ask.Expires < time.Second {
		return errors.New("--expires must be at least 1s")
	}
	if ask.Grants != "" {
		if _, err := router.ParseGrants([]byte(ask.Grants), ask.User); err != nil {
			return fmt.Errorf("--grants: %w", err)
		}
	}
	return nil
}

// isDeep reports whether grants, which are valid, have a pattern with **.
func isDeep(grants string) bool {
	var rules []struct{ Rooms string }
	_ = json.Unmarshal([]byte(grants), &rules)
	return slices.ContainsFunc(rules, func(r struct{ Rooms string }) bool { return strings.Contains(r.Rooms, "**") })
}

// addClaims adds those of --claim. The names that are given have flags of
// their own.
func (ask *tokenRequest) addClaims(claims map[string]any, flagged ...string) error {
	for _, claim := range ask.Claims {
		name, value, ok := strings.Cut(claim, "=")
		switch {
		case !ok || name == "":
			return fmt.Errorf("--claim %q is not name=value", claim)
		case slices.Contains(flagged, name):
			return fmt.Errorf("--claim %s: use --user, --expires or --grants for it", name)
		case json.Valid([]byte(value)):
			claims[name] = json.RawMessage(value)
		default:
			claims[name] = value
		}
	}
	return nil
}
