package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// noSleep is for the race detector, which would let each command sleep for a
// second before it ends.
const noSleep = "atexit_sleep_ms=0"

func TestMain(m *testing.M) {
	os.Setenv("GORACE", noSleep)
	testscript.Main(m, map[string]func(){
		"capycoind": main,
		"http":      httpMain,
		"field":     fieldMain,
		"damage":    damageMain,
		"waitready": waitReadyMain,
	})
}

// TestScripts runs the commands as processes.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// readenv NAME FILE sets a variable to what is in a file.
			"readenv": func(ts *testscript.TestScript, _ bool, args []string) { ts.Setenv(args[0], ts.ReadFile(args[1])) },
		},
		Setup: func(env *testscript.Env) error {
			// A socket's path has to be short, and each script needs a port.
			l, err := listenApart()
			if err != nil {
				return err
			}
			defer l.Close()
			env.Setenv("ADDR", fmt.Sprintf("localhost:%d", l.Addr().(*net.TCPAddr).Port))
			dir, err := os.MkdirTemp("", "capy")
			if err != nil {
				return err
			}
			env.Defer(func() { os.RemoveAll(dir) })
			env.Setenv("CAPYCOIN_SOCKET", filepath.Join(dir, "s"))
			env.Setenv("CAPYCOIN_LISTEN", env.Getenv("ADDR"))
			env.Setenv("CAPYCOIN_BCRYPT_COST", "4")
			env.Setenv("SHORT", dir)
			env.Setenv("GORACE", noSleep)
			return nil
		},
	})
}

// httpMain is curl for scripts: http METHOD URL [TOKEN [BODY [KEY]]] prints the
// status and the answer.
func httpMain() {
	args := append(os.Args[1:], "", "", "")
	var body io.Reader
	if args[3] != "" {
		body = strings.NewReader(args[3])
	}
	req, err := http.NewRequest(args[0], args[1], body)
	check(err)
	if args[2] != "" {
		req.Header.Set("Authorization", "Bearer "+args[2])
	}
	if len(args) > 4 && args[4] != "" {
		req.Header.Set("Idempotency-Key", args[4])
	}
	resp, err := http.DefaultClient.Do(req)
	check(err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	check(err)
	fmt.Printf("%d %s", resp.StatusCode, b)
}

// fieldMain prints a member of the answer, as httpMain or a command prints it, on
// standard input.
func fieldMain() {
	b, err := io.ReadAll(os.Stdin)
	check(err)
	if b[0] != '{' {
		_, b, _ = bytes.Cut(b, []byte(" ")) // the status
	}
	var v map[string]any
	check(json.Unmarshal(b, &v))
	fmt.Print(v[os.Args[1]])
}

// waitReadyMain waits until a server is ready.
func waitReadyMain() {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		resp, err := http.Get("http://" + os.Args[1] + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			check(fmt.Errorf("the server was not ready in time: %v", err))
		}
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
