package router

// memberships are the rooms of one connection. Most connections have a few: those
// are searched one by one, and take no map.
type memberships struct {
	few  []*member
	many map[string]*member // nil: all are in few
}

const maxFew = 16

func (s *memberships) len() int {
	if s.many != nil {
		return len(s.many)
	}
	return len(s.few)
}

func (s *memberships) find(room []byte) *member {
	if s.many != nil {
		return s.many[string(room)]
	}
	for _, m := range s.few {
		if m.group.name == string(room) {
			return m
		}
	}
	return nil
}

func (s *memberships) add(m *member) {
	if s.many == nil {
		if len(s.few) < maxFew {
			s.few = append(s.few, m)
			return
		}
		s.many = make(map[string]*member, 2*maxFew)
		for _, f := range s.few {
			s.many[f.group.name] = f
		}
		s.few = nil
	}
	s.many[m.group.name] = m
}

func (s *memberships) remove(m *member) {
	if s.many != nil {
		delete(s.many, m.group.name)
		return
	}
	for i, f := range s.few {
		if f == m {
			last := len(s.few) - 1
			s.few[i], s.few[last] = s.few[last], nil
			s.few = s.few[:last]
			return
		}
	}
}

// each calls f for every room; f may remove it.
func (s *memberships) each(f func(*member)) {
	for _, m := range s.many {
		f(m)
	}
	for _, m := range append([]*member(nil), s.few...) {
		f(m)
	}
}
