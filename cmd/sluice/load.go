package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
)

const (
	envPrefix   = "SLUICE_"
	configEnv   = envPrefix + "CONFIG" // names the file, as --config does
	defaultFile = "config.yaml"
)

// sources are what a configuration is read from.
type sources struct {
	File  string            // "": config.yaml of the working directory, if there is one
	Env   []string          // as os.Environ has it
	Flags map[string]string // by path of the key: those that were given
	Dev   bool              // dev.yaml instead of config.yaml, and below a file that is named

	DevKey string // with Dev: the key of this run; "": one of this load alone

	Looks looks // is told of each file before it is read; nil: nobody is
}

// loaded is a configuration and where its values came from.
type loaded struct {
	Config
	File   string           // "": there was none
	Dev    bool             // as in sources
	Places map[string]place // by path; a key that is absent has its default
	Filled []string         // paths within filters' config whose value came from a variable or a file
}

// load reads the defaults, what --dev adds, the file, the environment and the flags, each over
// the one before, and validates the result. The error is a configErrors with
// everything that is wrong.
func load(s sources) (*loaded, error) {
	secrets := newSecrets(s.Env)
	secrets.looks = s.Looks
	l := &loaded{Places: make(map[string]place), Dev: s.Dev}
	layers := []map[string]any{schema.defaults()}

	fromFile, err := l.readFile(s, secrets)
	if err != nil {
		return nil, err
	}
	l.Filled = secrets.filled
	var errs configErrors
	if s.Dev {
		if s.DevKey == "" {
			s.DevKey = newDevKey()
		}
		layers = append(layers, l.readDev(s.DevKey))
	}
	layers = append(layers, fromFile,
		l.readEnv(secrets, &errs),
		l.readFlags(s.Flags, secrets, &errs))
	if err := errs.orNil(); err != nil {
		return nil, err
	}
	if err := l.merge(layers); err != nil {
		return nil, err
	}
	base := "."
	if l.File != "" {
		base = filepath.Dir(l.File)
	}
	for i := range l.Filters {
		l.Filters[i].Dir = base
	}
	l.lookAtNamed(s.Looks)
	if err := validate(l); err != nil {
		return nil, err
	}
	return l, nil
}

// readFile reads the file as a layer; nil without one.
func (l *loaded) readFile(s sources, secrets *secrets) (map[string]any, error) {
	path := s.File
	if path == "" {
		path = secrets.env[configEnv]
	}
	if path == "" {
		if s.Dev {
			return nil, nil
		}
		s.Looks.look(defaultFile)
		if _, err := os.Stat(defaultFile); errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		path = defaultFile
	}
	s.Looks.look(path)
	text, err := readSmall(path, maxConfigFile)
	if err != nil {
		// The file's name is in the text.
		return nil, configErrors{{Text: err.Error()}}
	}
	l.File = path
	r := &strictReader{file: path, dir: filepath.Dir(path), secrets: secrets, places: l.Places}
	m := r.read(text)
	return m, r.errs.orNil()
}

// merge lays the layers over each other.
func (l *loaded) merge(layers []map[string]any) error {
	k := koanf.New(".")
	for _, m := range layers {
		if err := k.Load(confmap.Provider(m, ""), nil); err != nil {
			return err
		}
	}
	// Every value has its type by now: nothing is to be converted, and nothing
	// may be left over.
	return k.UnmarshalWithConf("", &l.Config, koanf.UnmarshalConf{
		DecoderConfig: &mapstructure.DecoderConfig{Result: &l.Config, ErrorUnused: true},
	})
}

// readEnv reads the variables of keys. A variable that starts with SLUICE_ and
// is neither a key's nor used by a ${…} is an error, since a mistyped one would
// silently change nothing.
func (l *loaded) readEnv(secrets *secrets, errs *configErrors) map[string]any {
	m := make(map[string]any)
	byName := make(map[string]*key)
	names := []string{configEnv}
	for _, k := range leaves() {
		byName[k.envName()] = k
		names = append(names, k.envName())
	}
	var unknown []string
	for _, name := range sortedNames(secrets.env) {
		if k := byName[name]; k != nil {
			l.set(m, k, secrets.env[name], place{Name: "environment variable " + name}, secrets, errs)
		} else if strings.HasPrefix(name, envPrefix) && name != configEnv && !serviceVariable.MatchString(name) {
			unknown = append(unknown, name)
		}
	}
	for _, name := range unknown {
		if secrets.used[name] {
			continue
		}
		near := nearest(name, names)
		if near != "" {
			near = "; did you mean " + near + "?"
		}
		errs.add(place{Name: "environment variable " + name}, "", "unknown: no key has it and no value refers to ${%s}%s", name, near)
	}
	return m
}

// serviceVariable matches what Kubernetes and Docker links set for a service
// called sluice or sluice-…; no key's variable looks so.
var serviceVariable = regexp.MustCompile(`^SLUICE_(.+_)?(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_.*)?)$`)

func sortedNames(m map[string]string) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// readFlags reads the flags that were given.
func (l *loaded) readFlags(flags map[string]string, secrets *secrets, errs *configErrors) map[string]any {
	m := make(map[string]any)
	for _, k := range leaves() {
		if text, ok := flags[k.Path]; ok {
			l.set(m, k, text, place{Name: "flag --" + k.flagName()}, secrets, errs)
		}
	}
	return m
}

// set puts the value of a variable or a flag into a layer.
func (l *loaded) set(m map[string]any, k *key, text string, at place, secrets *secrets, errs *configErrors) {
	text, resolved, err := secrets.resolve(text, ".")
	var v any
	if err == nil {
		v, err = k.parse(text)
		if err != nil {
			err = hideSecret(err, resolved)
		}
	}
	if err != nil {
		errs.add(at, k.Path, "%v", err)
		return
	}
	parts := strings.Split(k.Path, ".")
	for _, section := range parts[:len(parts)-1] {
		sub, ok := m[section].(map[string]any)
		if !ok {
			sub = make(map[string]any)
			m[section] = sub
		}
		m = sub
	}
	m[parts[len(parts)-1]] = v
	l.Places[k.Path] = at
}
