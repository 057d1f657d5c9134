package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes, written "64KiB".
type Size int64

var sizeUnits = []struct {
	suffix string
	bytes  int64
}{
	// Longest first: "KiB" ends in "B".
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"B", 1},
}

func (s Size) String() string {
	for i := len(sizeUnits) - 2; i >= 0; i-- {
		if u := sizeUnits[i]; s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// parseSize reads a size: a whole number with B, KiB, MiB or GiB, or without a
// unit in bytes. KB and MB are refused: to some they are 1000, to others 1024.
func parseSize(text string) (Size, error) {
	digits, factor := text, int64(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(text, u.suffix); ok {
			digits, factor = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	if !isDigits(digits) {
		return 0, fmt.Errorf("%q is not a size; write a whole number with B, KiB, MiB or GiB, as in 64KiB", text)
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > math.MaxInt64/factor {
		return 0, fmt.Errorf("%s is too large a size", text)
	}
	return Size(n * factor), nil
}

// Percent is a part of a whole, written "5%": 0 to 1.
type Percent float64

func (p Percent) String() string { return strconv.FormatFloat(float64(p)*100, 'g', -1, 64) + "%" }

// parsePercent reads a part of a whole. A bare number is refused: 0.5 may be meant
// as a half, or as a two-hundredth.
func parsePercent(text string) (Percent, error) {
	number, ok := strings.CutSuffix(text, "%")
	if !ok {
		return 0, fmt.Errorf("%q is not a percentage; write a number with %%, as in 5%%", text)
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	switch {
	case err != nil || math.IsNaN(f):
		return 0, fmt.Errorf("%q is not a percentage; write a number with %%, as in 5%%", text)
	case f < 0 || f > 100:
		return 0, fmt.Errorf("%s is not between 0%% and 100%%", text)
	}
	return Percent(f / 100), nil
}

// parseDuration reads a time as Go writes it, without a sign.
func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	switch {
	case err == nil && d < 0:
		return 0, fmt.Errorf("%s is negative", text)
	case err == nil:
		return d, nil
	case isDigits(text):
		return 0, fmt.Errorf("%s has no unit; write ms, s, m or h, as in %ss", text, text)
	default:
		return 0, fmt.Errorf("%q is not a time; write a number with ms, s, m or h, as in 5ms", text)
	}
}

func parseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%q is not true or false", text)
}

func parseInt(text string) (int, error) {
	n, err := strconv.Atoi(text)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, fmt.Errorf("%s is too large a number", text)
	case err != nil:
		return 0, fmt.Errorf("%q is not a whole number", text)
	case n < 0:
		return 0, fmt.Errorf("%s is negative", text)
	}
	return n, nil
}

func parseRate(text string) (float64, error) {
	f, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil || math.IsNaN(f) || math.IsInf(f, 0):
		return 0, fmt.Errorf("%q is not a number", text)
	case f < 0:
		return 0, fmt.Errorf("%s is negative", text)
	}
	return f, nil
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
