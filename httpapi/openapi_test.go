package httpapi_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/capycoin/capycoin/httpapi"
)

// The sides of the API, as x-sides in openapi.yaml has them.
const (
	public  = "public"
	trusted = "trusted"
	// bothSides is for the document as it stands.
	bothSides = ""
)

// noSuchPath is a path that sideDocument adds to the document: it stands for
// every path that the document does not have.
const noSuchPath = "/no-such-path"

var methods = []string{"get", "put", "post", "delete", "options", "head", "patch", "trace"}

// exchange is an operation's status on a side.
type exchange struct {
	side, method, path string
	status             int
}

func (e exchange) String() string {
	return fmt.Sprintf("%s %s %s %d", e.side, e.method, e.path, e.status)
}

// contract validates requests and responses against openapi.yaml, as one side
// has it, and keeps which statuses were seen.
type contract struct {
	side string
	doc  *document

	mu   sync.Mutex
	seen map[exchange]bool
}

var contracts = sync.OnceValues(func() (map[string]*contract, error) {
	cs := make(map[string]*contract)
	for _, side := range []string{public, trusted} {
		tree, err := sideDocument(httpapi.OpenAPI(), side)
		if err != nil {
			return nil, err
		}
		doc, err := newDocument(tree)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", side, err)
		}
		cs[side] = &contract{side: side, doc: doc, seen: make(map[exchange]bool)}
	}
	return cs, nil
})

// copy returns a contract for what does not count as seen.
func (c *contract) copy() *contract {
	return &contract{side: c.side, doc: c.doc, seen: make(map[exchange]bool)}
}

// contractOf returns the contract of a side.
func contractOf(t testing.TB, side string) *contract {
	t.Helper()
	cs, err := contracts()
	if err != nil {
		t.Fatalf("openapi.yaml: %v", err)
	}
	return cs[side]
}

// sideDocument returns the document as one side has it: without what x-sides
// says is on the other, and with what a document can't say: the answers to an
// unknown path and to an unknown method.
func sideDocument(spec []byte, side string) (map[string]any, error) {
	tree, err := readTree(spec)
	if err != nil {
		return nil, err
	}
	dropped := make(map[string]bool)
	dropSide(tree, side, "#", dropped)
	dropRefs(tree, dropped)
	closeSchemas(tree)
	schemes, _ := dig(tree, "components", "securitySchemes").(map[string]any)
	paths := tree["paths"].(map[string]any)
	for path, item := range paths {
		if !slices.ContainsFunc(methods, func(m string) bool { return item.(map[string]any)[m] != nil }) {
			delete(paths, path) // all of it is on the other side
		}
	}
	paths[noSuchPath] = map[string]any{}
	for path, item := range paths {
		item := item.(map[string]any)
		answer := "MethodNotAllowed"
		if path == noSuchPath {
			answer = "NotFound"
		}
		for _, method := range methods {
			if op, ok := item[method].(map[string]any); ok {
				op["security"] = sideSecurity(op["security"], schemes, side)
				continue
			}
			if method == "head" && item["get"] != nil {
				continue
			}
			status := map[string]string{"MethodNotAllowed": "405", "NotFound": "404"}[answer]
			item[method] = map[string]any{"responses": map[string]any{
				status: map[string]any{"$ref": "#/components/responses/" + answer},
			}}
		}
	}
	return tree, nil
}

// dropSide removes from a tree what x-sides says is not on a side, and notes
// the references of what it removed.
func dropSide(node any, side, ref string, dropped map[string]bool) {
	switch node := node.(type) {
	case map[string]any:
		for name, child := range node {
			childRef := ref + "/" + name
			if onOtherSide(child, side) {
				delete(node, name)
				dropped[childRef] = true
				continue
			}
			dropSide(child, side, childRef, dropped)
		}
		delete(node, "x-sides")
	case []any:
		for _, child := range node {
			dropSide(child, side, ref, dropped)
		}
	}
}

func onOtherSide(node any, side string) bool {
	m, ok := node.(map[string]any)
	if !ok {
		return false
	}
	sides, ok := m["x-sides"].([]any)
	return ok && side != bothSides && !slices.Contains(sides, any(side))
}

// dropRefs removes the references to what was dropped.
func dropRefs(node any, dropped map[string]bool) any {
	isDropped := func(child any) bool {
		m, ok := child.(map[string]any)
		if !ok {
			return false
		}
		ref, _ := m["$ref"].(string)
		return dropped[ref]
	}
	switch node := node.(type) {
	case map[string]any:
		for name, child := range node {
			if isDropped(child) {
				delete(node, name)
				continue
			}
			node[name] = dropRefs(child, dropped)
		}
		return node
	case []any:
		kept := node[:0]
		for _, child := range node {
			if !isDropped(child) {
				kept = append(kept, dropRefs(child, dropped))
			}
		}
		return kept
	}
	return node
}

// closeSchemas forbids members that the document does not have, in bodies and in
// what is within them. The document itself leaves them open in responses: a client
// is to ignore what it does not know.
func closeSchemas(node any) {
	closed := func(schema any) any {
		if m, ok := schema.(map[string]any); ok {
			return map[string]any{"allOf": []any{m}, "unevaluatedProperties": false}
		}
		return schema
	}
	switch node := node.(type) {
	case map[string]any:
		for name, child := range node {
			if name == "example" || name == "examples" {
				continue
			}
			closeSchemas(child)
			switch properties, _ := child.(map[string]any); name {
			case "schema", "items", "additionalProperties":
				node[name] = closed(child)
			case "properties":
				for property, schema := range properties {
					properties[property] = closed(schema)
				}
			}
		}
	case []any:
		for _, child := range node {
			closeSchemas(child)
		}
	}
}

// sideSecurity returns an operation's security as a side has it: where the
// document says "a token, or none", that is a token on the public side and
// none on the trusted one.
func sideSecurity(security any, schemes map[string]any, side string) []any {
	kept := []any{}
	all, _ := security.([]any)
	for _, requirement := range all {
		names := requirement.(map[string]any)
		if side == trusted || len(names) == 0 {
			continue
		}
		for name := range names {
			if schemes[name] != nil {
				kept = append(kept, requirement)
			}
		}
	}
	return kept
}

// dig follows names into a tree.
func dig(node any, names ...string) any {
	for _, name := range names {
		m, ok := node.(map[string]any)
		if !ok {
			return nil
		}
		node = m[name]
	}
	return node
}

// documented lists the operations and statuses of a side, in order.
func (c *contract) documented() []exchange {
	var list []exchange
	for path, item := range c.doc.tree["paths"].(map[string]any) {
		if path == noSuchPath {
			continue
		}
		for method, op := range item.(map[string]any) {
			if !slices.Contains(methods, method) || dig(op, "operationId") == nil {
				continue
			}
			for code := range dig(op, "responses").(map[string]any) {
				status, err := strconv.Atoi(code)
				if err != nil {
					continue
				}
				list = append(list, exchange{c.side, strings.ToUpper(method), path, status})
			}
		}
	}
	slices.SortFunc(list, func(a, b exchange) int { return strings.Compare(a.String(), b.String()) })
	return list
}

// template returns the documented path that a request's path falls under, or
// noSuchPath.
func (c *contract) template(path string) string {
	asked := strings.Split(path, "/")
	best, bestParams := noSuchPath, len(asked)+1
	for template := range c.doc.tree["paths"].(map[string]any) {
		segments := strings.Split(template, "/")
		if len(segments) != len(asked) {
			continue
		}
		params, match := 0, true
		for i, segment := range segments {
			if strings.HasPrefix(segment, "{") && asked[i] != "" {
				params++
			} else if segment != asked[i] {
				match = false
				break
			}
		}
		if match && params < bestParams {
			best, bestParams = template, params
		}
	}
	return best
}

// notInForm are the statuses of requests that the document does not allow.
var notInForm = []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusNotFound, http.StatusMethodNotAllowed,
	http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType}

// check validates an exchange. The response must be documented; the request
// too, unless it was answered as one that is not in form.
func (c *contract) check(req *http.Request, reqBody []byte, resp *http.Response, respBody []byte) []error {
	var errs []error
	clone := req.Clone(req.Context())
	template := c.template(req.URL.EscapedPath())
	if !slices.Contains(methods, strings.ToLower(req.Method)) {
		clone.Method = http.MethodTrace // another that no path has
	}
	if reqBody != nil && req.Header.Get("Content-Type") == "" {
		clone.Header.Set("Content-Type", "application/json") // what none stands for
	}
	head := req.Method == http.MethodHead && dig(c.doc.tree, "paths", template, "head") == nil
	if head {
		clone.Method = http.MethodGet
	}
	c.mu.Lock()
	c.seen[exchange{c.side, clone.Method, template, resp.StatusCode}] = true
	c.mu.Unlock()
	if !slices.Contains(notInForm, resp.StatusCode) {
		errs = append(errs, c.doc.request(template, clone, reqBody)...)
	}
	if head {
		if len(respBody) > 0 {
			errs = append(errs, errors.New("response: HEAD has a body"))
		}
		return errs
	}
	errs = append(errs, c.doc.response(template, clone.Method, resp, respBody)...)
	return append(errs, checkMeaning(resp, respBody)...)
}

// checkMeaning checks what a schema can't say: that a problem's status is the
// response's own, and that the headers fit the code.
func checkMeaning(resp *http.Response, body []byte) []error {
	var errs []error
	if resp.StatusCode < 400 {
		if resp.Header.Get("Retry-After") != "" || resp.Header.Get("WWW-Authenticate") != "" {
			errs = append(errs, fmt.Errorf("response: %d has the headers of an error: %v", resp.StatusCode, resp.Header))
		}
		return errs
	}
	if got, want := resp.Header.Get("Content-Type"), "application/problem+json"; got != want {
		errs = append(errs, fmt.Errorf("response: Content-Type is %q, want %q", got, want))
	}
	var p problem
	if err := json.Unmarshal(body, &p); err != nil {
		return append(errs, fmt.Errorf("response: %w", err))
	}
	if p.Status != resp.StatusCode {
		errs = append(errs, fmt.Errorf("response: the problem's status is %d, the response's %d", p.Status, resp.StatusCode))
	}
	challenge := map[string]string{
		"token_required": `Bearer realm="capycoin"`,
		"invalid_token":  `Bearer realm="capycoin", error="invalid_token"`,
	}[p.Code]
	if got := resp.Header.Get("WWW-Authenticate"); got != challenge {
		errs = append(errs, fmt.Errorf("response: %s has WWW-Authenticate %q, want %q", p.Code, got, challenge))
	}
	if got := resp.Header.Get("Retry-After") != ""; got != (p.Code == "unavailable" || p.Code == "too_many_requests") {
		errs = append(errs, fmt.Errorf("response: %s has Retry-After %q", p.Code, resp.Header.Get("Retry-After")))
	}
	return errs
}

// checking is a RoundTripper that validates what goes through it.
type checking struct {
	t      testing.TB
	c      *contract
	prefix string // what the handler is mounted under
	next   http.RoundTripper
}

func (c *checking) RoundTrip(req *http.Request) (*http.Response, error) {
	var reqBody []byte
	if req.Body != nil && req.Body != http.NoBody {
		var err error
		if reqBody, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		req.Body.Close()
		req.Body = io.NopCloser(bytes.NewReader(reqBody))
	}
	resp, err := c.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	respBody, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(respBody))
	if err != nil {
		return nil, err
	}
	asked := req.Clone(req.Context())
	asked.URL.Path = strings.TrimPrefix(asked.URL.Path, c.prefix)
	asked.URL.RawPath = strings.TrimPrefix(asked.URL.RawPath, c.prefix)
	for _, err := range append(c.c.check(asked, reqBody, resp, respBody), checkSecurity(resp)...) {
		c.t.Errorf("%s %s %s: %d %s\n%v", c.c.side, req.Method, shorten(req.URL.RequestURI()), resp.StatusCode, shorten(string(respBody)), err)
	}
	return resp, nil
}

func shorten(s string) string {
	if len(s) > 600 {
		return s[:600] + "…"
	}
	return s
}

// TestOpenAPIDocument checks the document itself.
func TestOpenAPIDocument(t *testing.T) {
	want, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(httpapi.OpenAPI(), want) {
		t.Error("OpenAPI() is not openapi.yaml")
	}
	if err := documentFault(want); err != nil {
		t.Error(err)
	}
	for _, side := range []string{public, trusted} {
		c := contractOf(t, side)
		if len(c.documented()) < 50 {
			t.Errorf("%s: %d operations and statuses documented, want more", side, len(c.documented()))
		}
	}
}
