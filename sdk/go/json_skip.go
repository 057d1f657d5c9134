package sluice

// skip steps over one value, whatever it is.
func (j *JSON) skip() bool {
	var objects uint64 // bit n is set: the container at depth n is an object
	for depth := 0; ; {
		switch c := j.Peek(); c {
		case '{', '[':
			if depth == maxDepth {
				return j.fail()
			}
			j.enter(c)
			objects &^= 1 << depth
			if c == '{' {
				objects |= 1 << depth
			}
			depth++
		case '"':
			if _, ok := j.skipString(); !ok {
				return false
			}
		case 't':
			j.skipWord("true")
		case 'f':
			j.skipWord("false")
		case 'n':
			j.skipWord("null")
		default:
			j.skipNumber()
		}
		if j.bad {
			return false
		}
		// Close what ends here, up to the next element.
		for more := false; !more; {
			if depth == 0 {
				return true
			}
			if objects>>(depth-1)&1 != 0 {
				more = j.skipKey()
			} else {
				more = j.Next()
			}
			if j.bad {
				return false
			}
			if !more {
				depth--
			}
		}
	}
}

// skipKey is Key without the key.
func (j *JSON) skipKey() bool {
	if !j.next('}') {
		return false
	}
	if j.Peek() != '"' {
		return j.fail()
	}
	if _, ok := j.skipString(); !ok {
		return false
	}
	if j.Peek() != ':' {
		return j.fail()
	}
	j.at++
	return true
}

func (j *JSON) skipWord(word string) bool {
	if len(j.b)-j.at < len(word) || string(j.b[j.at:j.at+len(word)]) != word {
		return j.fail()
	}
	j.at += len(word)
	return true
}

// skipString steps over a string, and says whether it has escapes.
func (j *JSON) skipString() (escaped, ok bool) {
	b := j.b
	for i := j.at + 1; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			j.at = i + 1
			return escaped, true
		case c < ' ':
			return false, j.fail()
		case c == '\\':
			escaped = true
			if i++; i == len(b) {
				return false, j.fail()
			}
			switch b[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if len(b)-i < 5 || hexDigit(b[i+1])|hexDigit(b[i+2])|hexDigit(b[i+3])|hexDigit(b[i+4]) > 15 {
					return false, j.fail()
				}
				i += 4
			default:
				return false, j.fail()
			}
		}
	}
	return false, j.fail()
}

// skipNumber steps over a number.
func (j *JSON) skipNumber() bool {
	if j.at < len(j.b) && j.b[j.at] == '-' {
		j.at++
	}
	if j.at < len(j.b) && j.b[j.at] == '0' {
		j.at++
	} else if !j.skipDigits() {
		return false
	}
	if j.at < len(j.b) && j.b[j.at] == '.' {
		j.at++
		if !j.skipDigits() {
			return false
		}
	}
	if j.at < len(j.b) && j.b[j.at]|0x20 == 'e' {
		j.at++
		if j.at < len(j.b) && (j.b[j.at] == '+' || j.b[j.at] == '-') {
			j.at++
		}
		return j.skipDigits()
	}
	return true
}

func (j *JSON) skipDigits() bool {
	start := j.at
	for j.at < len(j.b) && j.b[j.at] >= '0' && j.b[j.at] <= '9' {
		j.at++
	}
	return j.at > start || j.fail()
}
