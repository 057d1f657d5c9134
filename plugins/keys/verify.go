package keys

// Result is what became of a verification. Only Verified is success.
type Result uint8

const (
	NoKeys       Result = iota // the set has no keys: those behind its URLs have not come yet
	UnknownAlg                 // no algorithm that we know, or none that the keys asked for are bound to
	UnknownKid                 // no key has it; the sources were asked to fetch
	BadSignature               // of none of the keys that were tried
	Verified
	numResults
)

var resultWords = [numResults]string{"no_keys", "unknown_alg", "unknown_kid", "bad_signature", "verified"}

// String is the word under which a result is counted.
func (r Result) String() string {
	if r < numResults {
		return resultWords[r]
	}
	return "unknown"
}

// Verify reports whether signature is that of message under alg, an algorithm's
// name as in the header of a JWS, by a key with the identifier kid. If kid is
// empty, the keys that are bound to alg are tried in order, at most 16, of ES384
// 4 and of ES512 2. If no key of the set has a kid, the message's is ignored.
// ECDSA signatures are r and s in their full lengths.
//
// It does no I/O, waits for nothing, keeps none of its arguments, and takes the
// time of at most so many verifications. Results are counted.
func (s *Set) Verify(alg, kid, message, signature []byte) Result {
	r := s.verify(algOf(alg), kid, message, signature)
	s.results[r].Add(1)
	return r
}

func (s *Set) verify(a alg, kid, message, signature []byte) Result {
	v := s.view.Load()
	if v.count == 0 {
		return NoKeys
	}
	if a == algNone {
		return UnknownAlg
	}
	if len(kid) > 0 && v.hasKids {
		return s.verifyKid(v, a, kid, message, signature)
	}
	if len(v.byAlg[a]) == 0 {
		return UnknownAlg
	}
	for _, k := range v.byAlg[a] {
		if k.verifier.verify(a, message, signature) {
			return Verified
		}
	}
	if !v.hasKids {
		s.demand() // a new key may have come in the place of the old one
	}
	return BadSignature
}

func (s *Set) verifyKid(v *view, a alg, kid, message, signature []byte) Result {
	var list []*key
	if len(kid) <= maxKid {
		list = v.byKid[string(kid)]
	}
	if len(list) == 0 {
		s.demand()
		return UnknownKid
	}
	result := UnknownAlg
	for _, k := range list {
		if !k.algs.has(a) {
			continue
		}
		if k.verifier.verify(a, message, signature) {
			return Verified
		}
		result = BadSignature
	}
	return result
}

// demand asks the sources to fetch soon.
func (s *Set) demand() {
	for _, src := range s.sources {
		src.demand()
	}
}
