package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/spf13/cobra"
)

// users says who connects.
func (b *benchCommand) users(cmd *cobra.Command) error {
	if b.token != "" && b.tokenFile != "" {
		return errors.New("--token and --token-file do not go together")
	}
	if b.keyConfig == "" {
		for _, flag := range []string{"filter", "grants"} {
			if cmd.Flags().Changed(flag) {
				return fmt.Errorf("--%s is for tokens that are signed here: add --key-config config.yaml", flag)
			}
		}
	} else if err := b.signer(); err != nil {
		return fmt.Errorf("--key-config: %w", err)
	}
	if b.token != "" {
		b.Tokens = []string{b.token}
	}
	if b.tokenFile != "" {
		tokens, err := readTokens(b.tokenFile)
		if err != nil {
			return fmt.Errorf("--token-file: %w", err)
		}
		b.Tokens = tokens
	}
	for i, token := range b.Tokens {
		if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return fmt.Errorf("token %d of %d has a blank or another character that no token has", i+1, len(b.Tokens))
		}
	}
	return nil
}

func readTokens(path string) (tokens []string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if token := strings.TrimSpace(lines.Text()); token != "" {
			tokens = append(tokens, token)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(tokens) == 0 {
		return nil, fmt.Errorf("%s has no token", path)
	}
	return tokens, nil
}

// signer signs a token for each user. They are valid for an hour more than a
// run takes.
func (b *benchCommand) signer() error {
	l, err := load(sources{File: b.keyConfig, Env: b.env})
	if err != nil {
		return err
	}
	f, err := l.issuer(b.filter)
	if err != nil {
		return err
	}
	signer, err := f.signer("")
	if err != nil {
		return err
	}
	b.Sign = func(user string) (string, error) {
		ask := tokenRequest{User: user, Expires: time.Hour + b.Warmup + b.Duration + b.Drain, Grants: b.grants}
		claims, err := ask.claims(f)
		if err != nil {
			return "", err
		}
		return jwt.Signed(signer).Claims(claims).Serialize()
	}
	_, err = b.Sign("bench") // what is wrong with the configuration shows now
	return err
}
