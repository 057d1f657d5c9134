package plugin

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// toolchain is how a language is compiled to a filter. The table below is all
// that the commands know of compilers.
type toolchain struct {
	// install is the command that installs it on Debian and Ubuntu, or where to
	// get it.
	install string

	// source is the main file of a project that does not name it.
	source func(name string) string

	// plan says what to run to build p into the file out. cache is a folder for
	// what the compiler keeps between builds.
	plan func(p *project, out, cache string) (*plan, error)

	// generated are names of files and folders that a build leaves in a project.
	generated []string
}

// plan is a build: the tools and what to run, in the project's folder.
type plan struct {
	tools []found
	env   []string // over the environment; an entry without = is taken out of it
	steps [][]string
	built string // what the last step makes; "": the file that was asked for
}

// found is a tool that is installed.
type found struct {
	name, path, version string
	pin                 string // the version that committed modules are built with
}

// missingTool is a toolchain that is not installed.
type missingTool struct{ tool, install string }

func (e *missingTool) Error() string {
	return fmt.Sprintf("%s is missing; install it with: %s", e.tool, e.install)
}

var toolchains = map[string]*toolchain{
	"c": {
		install: installC,
		source:  func(name string) string { return name + ".c" },
		plan:    planC,
	},
	"go": {
		install: installGo,
		source:  func(string) string { return "main.go" },
		plan:    planGo,
	},
	"rust": {
		install:   installRust,
		source:    func(string) string { return filepath.Join("src", "lib.rs") },
		plan:      planRust,
		generated: []string{"target", "Cargo.lock"},
	},
	"assemblyscript": {
		install:   installAsc,
		source:    func(name string) string { return name + ".ts" },
		plan:      planAssemblyScript,
		generated: []string{"node_modules", "package-lock.json"},
	},
	"zig": {
		install:   installZig,
		source:    func(name string) string { return name + ".zig" },
		plan:      planZig,
		generated: []string{".tools", ".zig-cache", "zig-out"},
	},
	"wat": {
		install:   installWabt,
		source:    func(name string) string { return name + ".wat" },
		plan:      planWAT,
		generated: []string{"node_modules"},
	},
}

// The versions that the committed modules are built with.
const (
	pinGo    = "1.26.8"
	pinClang = "19.1.7"
	pinRust  = "1.96.0"
	pinZig   = "0.17.1"
	pinAsc   = "0.28.20"
	pinWabt  = "1.0.39"
)

// How they are installed on Debian and Ubuntu, or where they are to be had.
const (
	installC    = "apt-get install clang-19 lld-19"
	installGo   = "https://go.dev/dl (Go 1.26 or newer)"
	installRust = "rustup target add wasm32-unknown-unknown (with rustup), or: apt-get install rustc-web cargo-web rust-web-src lld-19"
	installAsc  = "npm install (in the project), or: npm install --global assemblyscript@" + pinAsc
	installZig  = "python3 -m venv .tools/zig && .tools/zig/bin/pip install ziglang==" + pinZig
	installWabt = "npm install --global wabt, or: apt-get install wabt"
)

// planC is for C, and for C++ where the source's name says so.
func planC(p *project, out, _ string) (*plan, error) {
	cxx := slices.Contains([]string{".cc", ".cpp", ".cxx"}, filepath.Ext(p.Source))
	compiler, err := findClang(cxx)
	if err != nil {
		return nil, err
	}
	sdk, err := p.sdkFolder("sluice.h")
	if err != nil {
		return nil, err
	}
	target := []string{compiler.path, "--target=wasm32", "-nostdlib"}
	link := append(slices.Clone(target), "-Wl,--no-entry")
	compile := append(slices.Clone(target), "-ffreestanding")
	if p.LibC {
		link = []string{compiler.path, "--target=wasm32-wasi", "-mexec-model=reactor"}
		compile = slices.Clone(link)
	}
	if cxx {
		compile = append(compile, "-std=c++17", "-fno-exceptions", "-fno-rtti")
	} else {
		compile = append(compile, "-std=c99", "-pedantic")
	}
	// Linked apart, and without -O: else clang passes the module through any
	// wasm-opt that is on PATH, which makes other bytes and deeper stacks of it.
	object := out + ".o"
	compile = append(compile, "-O2", "-fno-unroll-loops", "-fno-ident", "-g0", "-Wall", "-Wextra",
		"-ffile-prefix-map="+p.Abs+"=.", "-I"+sdk, "-c", "-o", object, p.Source)
	link = append(link, "-Wl,-z,stack-size=16384", "-Wl,--strip-all", "-o", out, object)
	return &plan{tools: []found{compiler}, steps: [][]string{compile, link}}, nil
}

// findClang takes clang 19, which the committed modules are built with, or else
// the machine's own.
func findClang(cxx bool) (found, error) {
	program := "clang"
	if cxx {
		program = "clang++"
	}
	for _, suffix := range []string{"-19", ""} {
		path, err := exec.LookPath(program + suffix)
		if err != nil {
			continue
		}
		if _, err := exec.LookPath("wasm-ld" + suffix); err != nil {
			continue
		}
		return found{"clang", path, version(path, "--version"), pinClang}, nil
	}
	return found{}, &missingTool{program + "-19 with wasm-ld-19", installC}
}

func planGo(_ *project, out, _ string) (*plan, error) {
	path, err := exec.LookPath("go")
	if err != nil {
		return nil, &missingTool{"go", installGo}
	}
	return &plan{
		tools: []found{{"go", path, version(path, "version"), pinGo}},
		env:   []string{"GOOS=wasip1", "GOARCH=wasm", "GOWASM=", "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOTOOLCHAIN=local", "GOEXPERIMENT="},
		steps: [][]string{{path, "build", "-trimpath", "-buildvcs=false", "-buildmode=c-shared", "-ldflags=-s -w -buildid=", "-o", out, "."}},
	}, nil
}

// rustWithout are variables that would change what is built.
var rustWithout = []string{"RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTUP_TOOLCHAIN", "CARGO_BUILD_TARGET", "CARGO_BUILD_RUSTFLAGS", "CARGO_BUILD_TARGET_DIR", "CARGO_TARGET_DIR"}

const (
	rustTarget = "wasm32-unknown-unknown"
	rustSource = "/usr/lib/rustlib/src/rust/library" // of Debian's rust-web-src
)

// planRust takes the rustc of Debian's packages that the committed modules are
// built with, which compiles core itself, or else any that has the target's core.
func planRust(p *project, _, cache string) (*plan, error) {
	crate, err := crateName(p)
	if err != nil {
		return nil, err
	}
	built := filepath.Join(cache, rustTarget, "release", strings.ReplaceAll(crate, "-", "_")+".wasm")
	build := []string{"build", "--quiet", "--offline", "--release", "--target", rustTarget, "--target-dir", cache, "--config"}

	if plan := debianRust(build, cache); plan != nil {
		plan.built = built
		return plan, nil
	}
	rustc, err := exec.LookPath("rustc")
	cargo, cargoErr := exec.LookPath("cargo")
	if err := errors.Join(err, cargoErr); err == nil && hasRustTarget(rustc) {
		build = append(build, rustFlags(`"--remap-path-prefix=`+p.Abs+`=."`))
		// Even of the same version, its core is another build than Debian's here.
		return &plan{tools: []found{{"rustc", rustc, version(rustc, "--version"), pinRust + " of Debian's packages"}}, env: rustWithout,
			steps: [][]string{append([]string{cargo}, build...)}, built: built}, nil
	}
	return nil, &missingTool{"a Rust compiler for " + rustTarget, installRust}
}

func debianRust(build []string, cache string) *plan {
	const rustc, cargo = "/usr/bin/rustc", "/usr/bin/cargo"
	linker, err := exec.LookPath("wasm-ld-19")
	if err != nil {
		return nil
	}
	for _, needed := range []string{rustc, cargo, rustSource + "/core"} {
		if _, err := os.Stat(needed); err != nil {
			return nil
		}
	}
	// No path is in these flags, so that all projects share one compiled core.
	build = append(slices.Clone(build), rustFlags(`"-Zunstable-options","-Cpanic=immediate-abort"`), "-Zbuild-std=core,alloc",
		"--config", `source.crates-io.replace-with="vendored-sources"`,
		"--config", `source.vendored-sources.directory="`+rustSource+`/vendor"`)
	return &plan{
		tools: []found{{"rustc", rustc, version(rustc, "--version"), pinRust}},
		env: append(slices.Clone(rustWithout), "CARGO_HOME="+filepath.Join(cache, "home"), "RUSTC="+rustc, "RUSTC_BOOTSTRAP=1",
			"CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER="+linker),
		steps: [][]string{append([]string{cargo}, build...)},
	}
}

func rustFlags(own string) string {
	return `target.` + rustTarget + `.rustflags=[` + own + `,"-Clink-arg=-zstack-size=65536"]`
}

// hasRustTarget reports whether a rustc has the target's core library.
func hasRustTarget(rustc string) bool {
	out, err := exec.Command(rustc, "--print", "target-libdir", "--target", rustTarget).Output()
	if err != nil {
		return false
	}
	info, err := os.Stat(strings.TrimSpace(string(out)))
	return err == nil && info.IsDir()
}

var crate = regexp.MustCompile(`(?m)^name\s*=\s*"([A-Za-z0-9_-]+)"`)

// crateName is the package's name in Cargo.toml, after which cargo names the
// module.
func crateName(p *project) (string, error) {
	text, err := os.ReadFile(p.path("Cargo.toml"))
	if err != nil {
		return "", err
	}
	m := crate.FindSubmatch(text)
	if m == nil {
		return "", fmt.Errorf("%s has no name = \"…\"", p.path("Cargo.toml"))
	}
	return string(m[1]), nil
}

func planAssemblyScript(p *project, out, _ string) (*plan, error) {
	asc, err := findNode(p, "asc")
	if err != nil {
		return nil, &missingTool{"asc", installAsc}
	}
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, &missingTool{"node", "https://nodejs.org/en/download (Node.js 20 or newer)"}
	}
	step := []string{asc, "-o", out}
	if _, err := os.Stat(p.path("asconfig.json")); err != nil { // which has the rest, if it is there
		step = append(step, p.Source, "-O3", "--converge", "--runtime", "incremental")
	}
	return &plan{tools: []found{{"asc", asc, version(asc, "--version"), pinAsc}, {"node", node, version(node, "--version"), ""}}, steps: [][]string{step}}, nil
}

func planZig(p *project, out, cache string) (*plan, error) {
	zig, err := findZig(p)
	if err != nil {
		return nil, err
	}
	sdk, err := p.sdkFolder("sluice.zig")
	if err != nil {
		return nil, err
	}
	optimize := p.Optimize
	if optimize == "" {
		optimize = "small"
	}
	return &plan{
		tools: []found{zig},
		env:   []string{"ZIG_GLOBAL_CACHE_DIR=" + filepath.Join(cache, "global"), "ZIG_LOCAL_CACHE_DIR=" + filepath.Join(cache, "local")},
		steps: [][]string{{zig.path, "build-exe", "-target", "wasm32-freestanding", "-mcpu=generic+simd128", "-fno-entry", "-rdynamic", "-O", optimize, "-fstrip",
			"--stack", "16384", "-femit-bin=" + out, "--dep", "sluice", "-Mroot=" + p.Source, "-Msluice=" + filepath.Join(sdk, "sluice.zig")}},
	}, nil
}

// findZig looks for the one version that the SDK is written in: the language
// changes between releases.
func findZig(p *project) (found, error) {
	var candidates []string
	if zig := os.Getenv("ZIG"); zig != "" {
		candidates = append(candidates, zig)
	}
	if zig, err := exec.LookPath("zig"); err == nil {
		candidates = append(candidates, zig)
	}
	for folder := range p.above() {
		installed, _ := filepath.Glob(filepath.Join(folder, ".tools", "zig", "lib", "python3*", "site-packages", "ziglang", "zig"))
		candidates = append(candidates, installed...)
	}
	for _, path := range candidates {
		if v := version(path, "version"); v == pinZig {
			return found{"zig", path, v, pinZig}, nil
		}
	}
	return found{}, &missingTool{"zig " + pinZig, installZig}
}

func planWAT(p *project, out, _ string) (*plan, error) {
	wabt, err := findNode(p, "wat2wasm")
	if err != nil {
		return nil, &missingTool{"wat2wasm", installWabt}
	}
	return &plan{tools: []found{{"wat2wasm", wabt, version(wabt, "--version"), pinWabt}}, steps: [][]string{{wabt, "-o", out, p.Source}}}, nil
}

// findNode looks for a program that npm installs: in the project, in a folder
// above it, or on PATH.
func findNode(p *project, name string) (string, error) {
	for folder := range p.above() {
		path := filepath.Join(folder, "node_modules", ".bin", name)
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path, nil
		}
	}
	return exec.LookPath(name)
}

// above are the project's folder and those above it, up to the root.
func (p *project) above() func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for folder := p.Abs; yield(folder); folder = filepath.Dir(folder) {
			if folder == filepath.Dir(folder) {
				return
			}
		}
	}
}

// sdkFolder is where the SDK's files are, relative to the project, known by the
// one that is the marker: what the manifest names, else sluice/, else the nearest folder above that has them.
func (p *project) sdkFolder(marker string) (string, error) {
	candidates := []string{p.SDK}
	if p.SDK == "" {
		candidates = []string{"sluice"}
		up := ""
		for range strings.Count(p.Abs, string(filepath.Separator)) {
			up = filepath.Join(up, "..")
			candidates = append(candidates, up, filepath.Join(up, "sdk", p.Language))
		}
	}
	for _, folder := range candidates {
		if _, err := os.Stat(filepath.Join(p.Abs, folder, marker)); err == nil {
			return folder, nil
		}
	}
	return "", fmt.Errorf("%s: the SDK's %s is not found: put it into %s, or name its folder in %s as sdk: …",
		p.Dir, marker, p.path("sluice"), manifestName)
}

var versionNumber = regexp.MustCompile(`\d+\.\d+(\.\d+)?`)

// version asks a tool for its version; "": it does not say.
func version(path string, args ...string) string {
	out, err := exec.Command(path, args...).Output()
	if err != nil {
		return ""
	}
	return versionNumber.FindString(string(out))
}

// nameOf is how a tool is named to people.
func (f found) String() string {
	if f.version == "" {
		return f.name
	}
	return f.name + " " + f.version
}

// environment is the environment with what a plan changes.
func environment(changes []string) []string {
	var out []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		changed := func(c string) bool { n, _, _ := strings.Cut(c, "="); return n == name }
		if !slices.ContainsFunc(changes, changed) {
			out = append(out, entry)
		}
	}
	for _, c := range changes {
		if strings.Contains(c, "=") {
			out = append(out, c)
		}
	}
	return out
}
