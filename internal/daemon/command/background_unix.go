//go:build unix

package command

import (
	"os"
	"strconv"
	"syscall"
)

// inBackground gives way to whatever else runs on the machine: it sets the
// lowest priority that the system has. Linux has one for each thread, which new
// threads take from those that make them.
func inBackground() {
	const lowest = 19
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil { // not Linux
		syscall.Setpriority(syscall.PRIO_PROCESS, 0, lowest)
		return
	}
	for _, t := range threads {
		if id, err := strconv.Atoi(t.Name()); err == nil {
			syscall.Setpriority(syscall.PRIO_PROCESS, id, lowest)
		}
	}
}
