package capycoin_test

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"testing"

	"github.com/capycoin/capycoin/internal/harness"
)

const childVariable = "CAPYCOIN_TEST_CHILD"

var childCount = regexp.MustCompile(`count: (.+): (\d+)`)

// inChild runs the calling test again in a process of its own, whose limits it
// may change, and passes on how that went. It returns true in that process. Its
// files are in memory if they can be, where syncs take no time.
func inChild(t *testing.T) bool {
	t.Helper()
	if os.Getenv(childVariable) == t.Name() {
		return true
	}
	args := []string{"-test.run=^" + t.Name() + "$", "-test.v"}
	if testing.Short() {
		args = append(args, "-test.short")
	}
	inMemory(t)
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), childVariable+"="+t.Name())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, m := range childCount.FindAllSubmatch(out, -1) {
		n, err := strconv.Atoi(string(m[2]))
		if err != nil {
			t.Fatal(err)
		}
		harness.Count(t, string(m[1]), n)
	}
	return false
}

// limitFiles lets no file of the process become longer than so many bytes, nor
// be written beyond that, as if there were no room. (Go takes no notice of the
// signal that comes with it.)
func limitFiles(t testing.TB, bytes uint64) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = min(bytes, limit.Max)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
}

// noLimit is the limit of files that may be of any length.
const noLimit = ^uint64(0)

// inMemory puts the temporary files of a test and its children into memory, if
// they can be there.
func inMemory(t *testing.T) {
	t.Helper()
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		t.Setenv("TMPDIR", "/dev/shm")
	}
}
