package meter

import (
	"errors"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// validate says whether wazero accepts a module.
func validate(t testing.TB) (func(wasm []byte) error, func()) {
	r := wazero.NewRuntimeWithConfig(bg, interpreter.WithCoreFeatures(api.CoreFeaturesV2))
	return func(wasm []byte) error {
		c, err := r.CompileModule(bg, wasm)
		if err == nil {
			c.Close(bg)
		}
		return err
	}, func() { r.Close(bg) }
}

// roomy leaves the corpus its memories.
var roomy = Options{MaxMemoryPages: 65536}

func TestARewrittenModuleIsValidExactlyWhenTheOriginalIs(t *testing.T) {
	valid, done := validate(t)
	defer done()
	counts := map[string]int{}
	for _, s := range corpus(t) {
		original := valid(withoutCustom(s.wasm))
		m, err := Rewrite(s.wasm, roomy)
		var refusal *Refusal
		switch {
		case err == nil:
			if rewritten := valid(m.Wasm); (rewritten == nil) != (original == nil) {
				t.Errorf("%s: original %v, rewritten %v", s.name, original, rewritten)
			}
			counts["rewritten"]++
		case !errors.As(err, &refusal):
			t.Errorf("%s: error is no Refusal: %v", s.name, err)
		case refusal.malformed:
			if valid(s.wasm) == nil {
				t.Errorf("%s: valid, but refused: %v", s.name, err)
			}
			counts["malformed"]++
		default:
			if refusal.Remedy == "" {
				t.Errorf("%s: no remedy for %v", s.name, err)
			}
			if original == nil {
				cause, _, _ := strings.Cut(refusal.Cause, "(")
				counts["valid, refused: "+cause]++
			}
		}
	}
	for what, n := range counts {
		t.Log(n, what)
	}
	if counts["rewritten"] < 1000 {
		t.Errorf("only %d modules of the corpus were rewritten", counts["rewritten"])
	}
}
