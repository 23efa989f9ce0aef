package fleet

import (
	"errors"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
)

// errForeign says that an agent spoke for an Instance of another Node.
var errForeign = errors.New("the instance is assigned to another node")

// own notes whose the Instances of an Assignment are. Those that left it are
// nobody's: their Node may still report them, and nobody waits for them.
func (f *Fleet) own(node models.ID, assignment protocol.Assignment) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for instance, owner := range f.owners {
		if owner == node {
			delete(f.owners, instance)
		}
	}
	for _, instance := range assignment.Instances {
		f.owners[instance.ID] = node
	}
}

// foreign says whether an Instance is known to be another Node's. The caller
// holds f.mu.
func (f *Fleet) foreign(node models.ID, instance string) bool {
	owner, assigned := f.owners[instance]
	return assigned && owner != node
}

// mayLog refuses the log of an Instance of another Node.
func (f *Fleet) mayLog(node models.ID, instance string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.foreign(node, instance) {
		return errForeign
	}
	return nil
}
