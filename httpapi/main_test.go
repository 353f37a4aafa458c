package httpapi_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"sort"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// TestMain runs the suite and then looks at it as a whole: no goroutine is
// left, no log line has a token, and, when every test ran, every status that
// openapi.yaml documents was seen.
func TestMain(m *testing.M) {
	code := m.Run()
	faults := logFaults(logged())
	if code == 0 && wholeSuite() {
		faults = append(faults, unseen()...)
	}
	if err := goleak.Find(); err != nil {
		faults = append(faults, err.Error())
	}
	for _, fault := range faults {
		fmt.Fprintln(os.Stderr, "httpapi:", fault)
		code = 1
	}
	os.Exit(code)
}

// wholeSuite says whether all tests were asked for.
func wholeSuite() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list", "test.bench", "test.fuzz"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return false
		}
	}
	return !testing.Short()
}

// secrets is what no log line may have: a token or a part of one of 32 bytes
// or more, or what a test sent in place of a token.
var secrets = regexp.MustCompile(`(?i)[0-9a-f]{64}|bearer [^"\\]|` + notAToken)

// notAToken is sent in place of a token.
const notAToken = "hunter2-is-no-token"

func logFaults(log string) []string {
	var faults []string
	for line := range strings.Lines(log) {
		if found := secrets.FindString(line); found != "" {
			faults = append(faults, fmt.Sprintf("a log line has what may be a token, %.16q…: %.300s", found, line))
		}
	}
	return faults
}

// unreachable are the documented statuses that no test sees, with the reason.
var unreachable = map[exchange]string{}

// unseen lists the documented statuses that no test saw.
func unseen() []string {
	var missing []string
	cs, err := contracts()
	if err != nil {
		return []string{err.Error()}
	}
	for _, c := range cs {
		for _, e := range c.documented() {
			_, excused := unreachable[e]
			if !c.seen[e] && !excused {
				missing = append(missing, "openapi.yaml documents what no test saw: "+e.String())
			}
			if c.seen[e] && excused {
				missing = append(missing, "listed as unreachable, but seen: "+e.String())
			}
		}
	}
	sort.Strings(missing)
	return missing
}

// TestLogFaults checks that the search for tokens in the log finds them.
func TestLogFaults(t *testing.T) {
	token := strings.Repeat("0A1b", 64)
	for _, tt := range []struct {
		line string
		want int
	}{
		{`{"msg":"request","path":"/account/` + token + `"}`, 1},
		{`{"msg":"request","header":"Bearer ` + notAToken + `"}`, 1},
		{`{"msg":"cut","token":"` + token[:64] + `"}`, 1},
		{`{"msg":"request","id":"26a6d7cb-e2be-44d4-acba-36e2c0ac1b90"}`, 0},
	} {
		if got := len(logFaults(tt.line)); got != tt.want {
			t.Errorf("%s: got %d faults, want %d", tt.line, got, tt.want)
		}
	}
}
