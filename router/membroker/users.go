package membroker

import (
	"cmp"
	"iter"
	"slices"
)

// users are the users in a room, sorted by name: runs of at most runLength, so
// that entering, leaving and finding a page's start cost little however many
// there are, and nothing is ever sorted.
type users struct {
	total int
	runs  [][]*user // none is empty
}

const runLength = 256

// find returns where name is or belongs: a run, an index in it, and whether it is
// there.
func (us *users) find(name string) (run, at int, found bool) {
	// The last run that begins at or before name, else the first.
	run, exact := slices.BinarySearchFunc(us.runs, name, func(r []*user, name string) int {
		return cmp.Compare(r[0].name, name)
	})
	if exact {
		return run, 0, true
	}
	if run > 0 {
		run--
	}
	if run == len(us.runs) {
		return run, 0, false
	}
	at, found = slices.BinarySearchFunc(us.runs[run], name, func(u *user, name string) int {
		return cmp.Compare(u.name, name)
	})
	return run, at, found
}

// get returns the user, or nil.
func (us *users) get(name string) *user {
	run, at, found := us.find(name)
	if !found {
		return nil
	}
	return us.runs[run][at]
}

// add returns the user, adding one without connections if there is none.
func (us *users) add(name string) *user {
	run, at, found := us.find(name)
	if found {
		return us.runs[run][at]
	}
	u := &user{name: name}
	us.total++
	if run == len(us.runs) {
		us.runs = append(us.runs, []*user{u})
		return u
	}
	r := slices.Insert(us.runs[run], at, u)
	us.runs[run] = r
	if len(r) > runLength {
		half := len(r) / 2
		us.runs[run] = slices.Clone(r[:half])
		us.runs = slices.Insert(us.runs, run+1, slices.Clone(r[half:]))
	}
	return u
}

// remove takes the user out.
func (us *users) remove(name string) {
	run, at, found := us.find(name)
	if !found {
		return
	}
	us.total--
	us.runs[run] = slices.Delete(us.runs[run], at, at+1)
	if len(us.runs[run]) == 0 {
		us.runs = slices.Delete(us.runs, run, run+1)
	}
}

// after yields the users behind name in order, or all for "". It must not be
// changed meanwhile.
func (us *users) after(name string) iter.Seq[*user] {
	run, at, found := us.find(name)
	if found {
		at++
	}
	return func(yield func(*user) bool) {
		for ; run < len(us.runs); run, at = run+1, 0 {
			for _, u := range us.runs[run][at:] {
				if !yield(u) {
					return
				}
			}
		}
	}
}
