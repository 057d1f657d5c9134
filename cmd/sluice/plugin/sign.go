package plugin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"sluice/plugins"
	"sluice/plugins/source"
)

// maxKeyFile is the largest file of a key or a signature, in bytes.
const maxKeyFile = 64 << 10

type signing struct {
	key           string
	generate, add bool
}

func (t *tool) signCommand() *cobra.Command {
	var s signing
	cmd := &cobra.Command{
		Use:   "sign --key KEY.pem [FILE.wasm…]",
		Short: "Sign modules, or make a key that does",
		Long: "Writes FILE.wasm" + source.SignatureSuffix + " beside each module: a signature by an Ed25519 key, for nodes\n" +
			"that have its public key in trusted_keys. With --generate the key is made first;\n" +
			"its public part is printed, and written beside it as KEY.pub.pem.",
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case s.key == "":
				return usage("name the private key, as in: sluice plugin sign --key release.pem hello.wasm")
			case len(args) == 0 && !s.generate:
				return usage("name the .wasm files to sign, or make a key with --generate")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return t.sign(s, args) },
	}
	cmd.Flags().StringVar(&s.key, "key", "", "the file of the private key, as PEM")
	cmd.Flags().BoolVar(&s.generate, "generate", false, "make the key first; a file that is there is not overwritten")
	cmd.Flags().BoolVar(&s.add, "add", false, "keep the signatures that other keys have made of the same file")
	return cmd
}

func usage(format string, args ...any) error {
	return &ExitError{Code: exitUsage, Err: fmt.Errorf(format, args...)}
}

func (t *tool) sign(s signing, files []string) error {
	if s.generate {
		if err := t.generateKey(s.key); err != nil {
			return err
		}
	}
	key, err := t.readPrivateKey(s.key)
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := t.signFile(key, file, s.add); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

// generateKey writes a new key and its public part.
func (t *tool) generateKey(path string) error {
	key, err := source.GenerateKey()
	if err != nil {
		return err
	}
	text, err := key.PEM()
	if err != nil {
		return err
	}
	public := strings.TrimSuffix(path, ".pem") + ".pub.pem"
	if err := writeNew(path, text, 0o600); err != nil {
		return err
	}
	if err := writeNew(public, key.Public().PEM(), 0o644); err != nil {
		return errors.Join(err, os.Remove(path)) // of a key without its public part nothing is known
	}
	t.say("%s: the private key; keep it from everyone, and off the nodes", path)
	t.say("%s: its public key %s; a node trusts it by", public, key.Public().ID())
	t.say("  trusted_keys: [%q]", key.Public())
	return nil
}

// writeNew writes a file that is not there yet.
func writeNew(path string, data []byte, mode os.FileMode) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already, and is not overwritten", path)
	}
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Close()); err != nil {
		_ = os.Remove(path)
	}
	return err
}

func (t *tool) readPrivateKey(path string) (source.PrivateKey, error) {
	text, err := readAtMost(path, maxKeyFile)
	if err != nil {
		return source.PrivateKey{}, err
	}
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		fmt.Fprintf(t.Stderr, "warning: others may read %s (%s); chmod 600 it\n", path, info.Mode().Perm())
	}
	key, err := source.ParsePrivateKey(text)
	if err != nil {
		return key, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// signFile signs one module. What a node would not load is not signed: it
// would be signed again.
func (t *tool) signFile(key source.PrivateKey, file string, add bool) error {
	wasm, err := readAtMost(file, plugins.MaxModule)
	if err != nil {
		return err
	}
	if refused := plugins.Inspect(wasm).Refused; refused != nil {
		return fmt.Errorf("a node would not load it: %s", refused.Cause)
	}
	path := file + source.SignatureSuffix
	var before []byte
	if add {
		if before, err = readAtMost(path, maxKeyFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	text, err := source.Sign(key, wasm, before)
	if err != nil {
		return err
	}
	if err := replaceFile(path, text); err != nil {
		return err
	}
	t.say("%s: signed by %s", path, key.Public().ID())
	return nil
}

// replaceFile puts a file in place whole, for a node may be watching.
func replaceFile(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}
