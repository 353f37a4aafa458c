package plants

import (
	"fmt"
	"slices"
)

// plants are all there are.
var plants = slices.Concat(defects, harnesses, witnesses, disks, attacks, rules)

// subjects are the defects and the harnesses that docs/reliability.md lists.
// Each has a plant.
var subjects = func() (all []string) {
	for n := range 15 {
		all = append(all, fmt.Sprintf("defect %d", n+1))
	}
	return append(all, "kill -9", "linearizability", "the clock", "the damage matrix", "disk full", "HTTP fuzz and flood",
		"the witness", "the checks before opening", "the n-th system call", "power cut", "attack",
		"signatures", "fees", "the stipend")
}()
