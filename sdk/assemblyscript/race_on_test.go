//go:build race

package assemblyscript_test

const raceEnabled = true
