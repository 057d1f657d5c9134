package plugin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"sluice/plugins/source"
)

func (t *tool) verifyCommand() *cobra.Command {
	var keys []string
	cmd := &cobra.Command{
		Use:   "verify --key KEY.pub.pem FILE.wasm…",
		Short: "Check the signatures of modules",
		Long: "Checks that each module is signed by one of the public keys, as a node with these\n" +
			"trusted_keys and require_signatures does, and prints its SHA-256, for sha256 in its\n" +
			"entry. A module may also be https://… or oci://REGISTRY/REPOSITORY:TAG. Exit code 1\n" +
			"if one is not signed so, 2 if a key cannot be read.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(keys) == 0 || len(args) == 0 {
				return usage("name the public key and the files, as in: sluice plugin verify --key release.pub.pem hello.wasm")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return t.verify(cmd.Context(), keys, args) },
	}
	cmd.Flags().StringArrayVar(&keys, "key", nil, "the file of a public key, as PEM or base64; may be given more than once")
	return cmd
}

func (t *tool) verify(ctx context.Context, keys, references []string) error {
	trust := &source.Trust{RequireSignatures: true}
	for _, path := range keys {
		text, err := readAtMost(path, maxKeyFile)
		if err != nil {
			return usage("%w", err)
		}
		key, err := source.ParsePublicKey(string(text))
		if err != nil {
			return usage("%s: %w", path, err)
		}
		trust.Keys = append(trust.Keys, key)
	}
	reader := source.New(source.Options{Log: slog.New(slog.NewTextHandler(t.Stderr, nil)), Credentials: t.RegistryPasswords})
	failed := 0
	for _, reference := range references {
		m, err := reader.Read(ctx, source.Request{Reference: reference, Trust: trust})
		if ended(ctx) {
			return ctx.Err()
		}
		if err != nil {
			failed++
			fmt.Fprintf(t.Stderr, "%s: %v\n", source.Show(reference), err)
			continue
		}
		sum := sha256.Sum256(m.Wasm)
		t.say("%s: signed by %s\n  sha256: %s", source.Show(reference), m.SignedBy, hex.EncodeToString(sum[:]))
	}
	if failed > 0 {
		return &ExitError{Code: exitFailed}
	}
	return nil
}
