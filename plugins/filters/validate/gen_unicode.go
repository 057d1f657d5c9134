//go:build ignore

// Command gen_unicode writes unicode.h: the general categories of all code
// points as runs, from the tables of the Go release that runs it.
//
//	go run gen_unicode.go > unicode.h
package main

import (
	"fmt"
	"os"
	"strings"
	"unicode"
)

// names in the order of the numbers that unicode.h gives them.
var names = strings.Fields("Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co Cn")

func category(r rune) int {
	for i, name := range names[:len(names)-1] {
		if unicode.Is(unicode.Categories[name], r) {
			return i
		}
	}
	return len(names) - 1
}

func main() {
	var out []byte
	for r := rune(0); r <= unicode.MaxRune; {
		c, from := category(r), r
		for category(r) == 0 && category(r+1) == 1 && category(r+2) < 2 {
			r += 2
		}
		if r-from >= 4 {
			out = encode(out, int(r-from), len(names)) // upper and lower case by turns
			continue
		}
		for r = from; r <= unicode.MaxRune && category(r) == c; {
			r++
		}
		out = encode(out, int(r-from), c)
	}
	fmt.Printf("/* unicode.h: the general category of each code point, Unicode %s.\n", unicode.Version)
	fmt.Print(` * Written by gen_unicode.go; do not edit.
 *
 * Runs of code points from 0 on: a byte with the category in its low five bits
 * and the length in the others, from 1 to 7; where those are 0 the length
 * follows, seven bits a byte, the lowest first, the high bit set but in the
 * last. Categories are numbered as below; 30 is Lu and Ll by turns.
 *     `)
	fmt.Println(strings.Join(names, " ") + " */")
	fmt.Printf("static const unsigned char unicode_runs[%d] = {", len(out))
	for i, b := range out {
		if i%32 == 0 {
			fmt.Print("\n    ")
		}
		fmt.Printf("%d,", b)
	}
	fmt.Fprintln(os.Stdout, "\n};")
}

func encode(out []byte, length, category int) []byte {
	if length <= 7 {
		return append(out, byte(category|length<<5))
	}
	out = append(out, byte(category))
	for ; length >= 0x80; length >>= 7 {
		out = append(out, byte(length|0x80))
	}
	return append(out, byte(length))
}
