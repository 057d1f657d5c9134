package plugins

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// maxKnownKeys bounds the work of finding out which key was meant: a schema with
// more names no suggestions.
const maxKnownKeys = 256

// meant is what follows "is an unknown key": the key of the schema at a URL that
// was probably meant, or those that there are.
func meant(document any, schemaAt, key string) string {
	known := keysAt(document, schemaAt)
	if len(known) == 0 || len(known) > maxKnownKeys {
		return ""
	}
	plain := func(name string) string {
		return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name))
	}
	best, limit := "", 2
	if len(key) < 4 {
		limit = 1
	}
	for _, name := range known {
		if len(name) > maxQuoted || len(key) > maxQuoted {
			continue
		}
		if d := editDistance(plain(key), plain(name), limit); d <= limit && d < len(name) {
			best, limit = name, d-1
		}
	}
	if best != "" {
		return "; did you mean " + shortened(best, maxQuoted) + "?"
	}
	return "; there are " + shortened(strings.Join(known, ", "), maxQuoted)
}

// keysAt are the properties that the schema at a URL names, in order; none if
// it is not found by the way that the URL tells.
func keysAt(document any, schemaAt string) []string {
	fragment, ok := strings.CutPrefix(schemaAt, schemaURL+"#")
	if !ok {
		return nil
	}
	pointer, err := url.PathUnescape(fragment)
	if err != nil {
		return nil
	}
	for token := range strings.SplitSeq(pointer, "/") {
		if token == "" {
			continue // before the first slash
		}
		token = unescapePointer.Replace(token)
		switch v := document.(type) {
		case map[string]any:
			document = v[token]
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(v) {
				return nil
			}
			document = v[i]
		default:
			return nil
		}
	}
	schema, _ := document.(map[string]any)
	properties, _ := schema["properties"].(map[string]any)
	return slices.Sorted(maps.Keys(properties))
}
