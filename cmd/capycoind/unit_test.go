package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/capycoin/capycoin/internal/daemon/serve"
)

const unitFile = "../../deploy/capycoind.service"

// readUnit returns the settings of the unit for systemd, by section and name.
func readUnit(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	unit, section := make(map[string][]string), ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		name, value, ok := strings.Cut(line, "=")
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[' && line[len(line)-1] == ']':
			section = line[1 : len(line)-1]
		case ok && section != "":
			unit[section+" "+name] = append(unit[section+" "+name], value)
		default:
			t.Errorf("a line that is none of a unit: %q", line)
		}
	}
	return unit
}

// TestUnit checks the unit against the command that it starts: flags, folders
// and times are those that there are.
func TestUnit(t *testing.T) {
	unit := readUnit(t)
	one := func(name string) string {
		t.Helper()
		if len(unit["Service "+name]) != 1 {
			t.Fatalf("the unit has %s %q, want one", name, unit["Service "+name])
		}
		return unit["Service "+name][0]
	}
	words := strings.Fields(one("ExecStart"))
	cmd, rest, err := newRoot().Find(words[1:])
	if err != nil || cmd.Name() != "serve" {
		t.Fatalf("the unit starts %q: %v", words, err)
	}
	flags := pflag.NewFlagSet("unit", pflag.ContinueOnError)
	flags.AddFlagSet(cmd.Flags())
	flags.AddFlagSet(cmd.InheritedFlags())
	if err := flags.Parse(rest); err != nil || flags.NArg() > 0 {
		t.Errorf("the unit's flags %q: %v", rest, err)
	}
	flag := func(name string) string { return flags.Lookup(name).Value.String() }
	if got, want := filepath.Dir(flag("db")), "/var/lib/"+one("StateDirectory"); got != want {
		t.Errorf("the file is in %s, the unit makes %s", got, want)
	}
	if got, want := filepath.Dir(flag("socket")), "/run/"+one("RuntimeDirectory"); got != want {
		t.Errorf("the socket is in %s, the unit makes %s", got, want)
	}
	if stop, err := time.ParseDuration(one("TimeoutStopSec") + "s"); err != nil || stop <= 2*serve.GraceTimeout {
		t.Errorf("the unit waits %v, %v for a server that may take %v and then closes its file", stop, err, serve.GraceTimeout)
	}
	if got := one("ExecReload"); got != "/bin/kill -HUP $MAINPID" {
		t.Errorf("the unit reloads with %q", got)
	}
	for name, want := range map[string]string{"User": "capycoin", "Restart": "on-failure", "NoNewPrivileges": "yes", "ProtectSystem": "strict",
		"PrivateTmp": "yes", "PrivateDevices": "yes", "CapabilityBoundingSet": "", "MemoryDenyWriteExecute": "yes", "StateDirectoryMode": "0700",
		"RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX"} {
		if got := one(name); got != want {
			t.Errorf("the unit has %s=%s, want %s", name, got, want)
		}
	}
	if unit["Service PrivateUsers"] != nil {
		t.Error("with PrivateUsers the socket could not tell one user from another")
	}
}

// TestUnitInSystemd has systemd check the unit and rate what it leaves open.
func TestUnitInSystemd(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("there is no systemd-analyze")
	}
	text, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	binary, err := exec.LookPath("capycoind")
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "capycoind.service")
	if err := os.WriteFile(unit, []byte(strings.ReplaceAll(string(text), "/usr/local/bin/capycoind", binary)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"verify", "--man=no", unit}, {"security", "--offline=true", "--threshold=15", unit}} {
		out, err := exec.Command(analyze, args...).CombinedOutput()
		if err != nil || args[0] == "verify" && len(out) > 0 {
			t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, out)
		}
	}
}

// syscallSets returns systemd's names for sets of system calls, each with all
// that is in it.
func syscallSets(t *testing.T) func(set string) []string {
	t.Helper()
	out, err := exec.Command("systemd-analyze", "syscall-filter").Output()
	if err != nil {
		t.Skipf("systemd-analyze can't tell its sets of system calls: %v", err)
	}
	sets, name := make(map[string][]string), ""
	for line := range strings.Lines(string(out)) {
		switch word := strings.TrimSpace(line); {
		case word == "" || word[0] == '#':
		case line[0] != ' ':
			name = word
		default:
			sets[name] = append(sets[name], word)
		}
	}
	var all func(set string) []string
	all = func(set string) (calls []string) {
		for _, member := range sets[set] {
			if member[0] == '@' {
				calls = append(calls, all(member)...)
			} else {
				calls = append(calls, member)
			}
		}
		return calls
	}
	return all
}

var (
	tracedCall   = regexp.MustCompile(`(?m)^\d+ +(\w+)\((.*)`)
	tracedSocket = regexp.MustCompile(`^AF_\w+`)
)

// TestUnitFilter traces a server through all that it does in a life: none of its
// system calls is one that the unit forbids.
func TestUnitFilter(t *testing.T) {
	for _, tool := range []string{"strace", "systemd-analyze"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s: %v", tool, err)
		}
	}
	unit, set := readUnit(t), syscallSets(t)
	var permitted, forbidden []string
	for _, value := range unit["Service SystemCallFilter"] {
		list := &permitted
		if value[0] == '~' {
			list, value = &forbidden, value[1:]
		}
		for _, name := range strings.Fields(value) {
			calls := set(name)
			if len(calls) == 0 {
				t.Errorf("systemd has no set %s", name)
			}
			*list = append(*list, calls...)
		}
	}
	families := strings.Fields(unit["Service RestrictAddressFamilies"][0])

	p := newProcess(t)
	p.cmd.Process.Kill()
	p.end()
	p.socket.CloseIdleConnections()
	trace := filepath.Join(t.TempDir(), "trace")
	// -D: the server is this process's child, and strace its grandchild.
	p.run(exec.Command("strace", "-D", "-f", "-qq", "-s", "0", "-o", trace, "capycoind", "--listen", p.addr, "--bcrypt-cost", "4", "--allow-uid", "1"))
	from, to := p.open(100), p.open(0)
	for range 50 {
		p.ask("POST", "/account/"+from.ID+"/transaction", from.Token, "", `{"receiver":"`+to.ID+`","amount":1}`, nil)
	}
	p.ask("GET", "/account/"+to.ID+"/transactions", to.Token, "", "", nil)
	p.auditClean()
	if a, err := p.request("GET", "/metrics", "", "", ""); err != nil || a.status != 200 {
		t.Errorf("the metrics: %d, %v", a.status, err)
	}
	p.hangup()
	p.logs("nothing to reread")
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := p.end(); err != nil {
		t.Errorf("the server ended with %v\n%s", err, p.log)
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]int)
	for _, m := range tracedCall.FindAllStringSubmatch(string(text), -1) {
		call, args := m[1], m[2]
		if seen[call]++; seen[call] == 1 && (!slices.Contains(permitted, call) || slices.Contains(forbidden, call)) {
			t.Errorf("the server calls %s(%s, which the unit forbids", call, args)
		}
		if strings.Contains(args, "PROT_WRITE") && strings.Contains(args, "PROT_EXEC") {
			t.Errorf("the server calls %s(%s, which MemoryDenyWriteExecute forbids", call, args)
		}
		if call == "socket" && !slices.Contains(families, tracedSocket.FindString(args)) {
			t.Errorf("the server calls socket(%s, which RestrictAddressFamilies forbids", args)
		}
	}
	mmap := "mmap"
	if runtime.GOARCH == "386" {
		mmap = "mmap2" // which is what 32-bit Linux has for it
	}
	for _, call := range []string{mmap, "fdatasync", "flock", "accept4", "bind"} {
		if seen[call] == 0 {
			t.Errorf("no %s was traced", call)
		}
	}
}
