package packfile

import "github.com/skypanel/sky/gitserver/object"

// inspector names and checks objects; one per worker.
type inspector struct {
	in     *intake
	hasher *object.Hasher
	linker *linker
}

func newInspector(in *intake) *inspector {
	return &inspector{in: in, hasher: object.NewHasher(), linker: newLinker(in)}
}

// inspect names an object, checks it and collects its links.
func (c *inspector) inspect(kind object.Kind, data []byte) (object.ID, error) {
	id, err := c.hasher.Sum(kind, data)
	if err != nil {
		return id, &ObjectError{id, err.Error()}
	}
	var visitor object.Visitor = c.linker
	if kind == object.Commit && c.in.Shallow[id] {
		visitor = &boundaryVisitor{linker: c.linker, commit: id}
	}
	if problem := object.Check(kind, data, visitor); problem != "" {
		return id, &ObjectError{id, problem}
	}
	return id, nil
}

// boundaryVisitor sets a shallow commit's parents aside instead of demanding
// them.
type boundaryVisitor struct {
	*linker
	commit object.ID
}

// Link implements object.Visitor.
func (v *boundaryVisitor) Link(id *object.ID, kind object.Kind) {
	if kind != object.Commit {
		v.linker.Link(id, kind)
		return
	}
	v.in.mu.Lock()
	defer v.in.mu.Unlock()
	v.in.boundary[v.commit] = append(v.in.boundary[v.commit], *id)
}
