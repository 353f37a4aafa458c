package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// document validates requests and responses against an OpenAPI 3.1 document. A
// schema is JSON Schema there, which package jsonschema has all of. What is here
// finds the schema that a part of an exchange has to meet; of OpenAPI it knows what
// openapi.yaml uses: JSON bodies, and parameters and headers that are one value.
type document struct {
	tree    map[string]any
	schemas map[string]*jsonschema.Schema // by where they are in the tree, as JSON pointers
}

// readTree reads a document in YAML, of which JSON is a part. Numbers stay as they
// are written.
func readTree(raw []byte) (map[string]any, error) {
	var read any
	if err := yaml.Unmarshal(raw, &read); err != nil {
		return nil, err
	}
	asJSON, err := json.Marshal(read) // which fails for members whose names are no strings
	if err != nil {
		return nil, err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		return nil, err
	}
	tree, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the document is a %T", value)
	}
	return tree, nil
}

// specification is the JSON schema that the OpenAPI Initiative has for documents.
// It leaves out what a schema is: newDocument finds that, when it compiles them.
var specification = sync.OnceValues(func() (*jsonschema.Schema, error) {
	raw, err := os.ReadFile("testdata/openapi/schema.json")
	if err != nil {
		return nil, err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource("openapi.json", value); err != nil {
		return nil, err
	}
	return c.Compile("openapi.json")
})

// newDocument returns a document, if it is a valid one: as the specification has
// it, with schemas that are some, and with references that lead somewhere.
func newDocument(tree map[string]any) (*document, error) {
	spec, err := specification()
	if err != nil {
		return nil, err
	}
	if err := spec.Validate(tree); err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource("document.json", tree); err != nil {
		return nil, err
	}
	d := &document{tree: tree, schemas: make(map[string]*jsonschema.Schema)}
	root := node{d: d, value: tree}
	for name := range root.get("components").get("schemas").members() {
		if err := d.compile(c, root.get("components").get("schemas").at+"/"+escape(name)); err != nil {
			return nil, err
		}
	}
	return d, root.walk(func(n node) error {
		if ref, ok := n.members()["$ref"]; ok && n.follow().value == nil {
			return fmt.Errorf("%s: there is no %v", n.at, ref)
		}
		if _, ok := n.members()["schema"]; ok {
			return d.compile(c, n.at+"/schema")
		}
		return nil
	})
}

func (d *document) compile(c *jsonschema.Compiler, at string) (err error) {
	d.schemas[at], err = c.Compile("document.json#" + (&url.URL{Fragment: at}).EscapedFragment())
	return err
}

// node is a place in a document.
type node struct {
	d     *document
	at    string // a JSON pointer
	value any    // nil if there is nothing
}

func escape(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

func (n node) members() map[string]any {
	m, _ := n.value.(map[string]any)
	return m
}

// child is a member or an item, as it stands.
func (n node) child(name string) node {
	c := node{d: n.d, at: n.at + "/" + escape(name)}
	switch v := n.value.(type) {
	case map[string]any:
		c.value = v[name]
	case []any:
		if i, err := strconv.Atoi(name); err == nil && i < len(v) {
			c.value = v[i]
		}
	}
	return c
}

// get is a member or an item, or what it refers to.
func (n node) get(name string) node { return n.child(name).follow() }

// follow is what a reference leads to.
func (n node) follow() node {
	for range 10 {
		ref, ok := n.members()["$ref"].(string)
		if !ok {
			return n
		}
		target := node{d: n.d, value: n.d.tree}
		names := strings.Split(ref, "/")
		if names[0] != "#" {
			return node{d: n.d}
		}
		for _, name := range names[1:] {
			target = target.child(strings.NewReplacer("~1", "/", "~0", "~").Replace(name))
		}
		n = target
	}
	return node{d: n.d} // a circle
}

// walk visits a place and what is below, but for schemas and examples.
func (n node) walk(visit func(node) error) error {
	if err := visit(n); err != nil {
		return err
	}
	switch v := n.value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if slices.Contains([]string{"schema", "schemas", "example", "examples"}, name) {
				continue
			}
			if err := n.child(name).walk(visit); err != nil {
				return err
			}
		}
	case []any:
		for i := range v {
			if err := n.child(strconv.Itoa(i)).walk(visit); err != nil {
				return err
			}
		}
	}
	return nil
}

// meets checks a value against the schema of a parameter, a header or a body.
func (n node) meets(value any) error {
	schema := n.d.schemas[n.at+"/schema"]
	if schema == nil {
		return nil
	}
	return schema.Validate(value)
}

// integer is how an integer is written in a parameter or a header.
var integer = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)

// meetsText checks the text of a parameter or a header. It may be read as a string
// or as an integer or a boolean, whichever the schema has.
func (n node) meetsText(text string) error {
	err := n.meets(text)
	if err == nil {
		return nil
	}
	switch {
	case integer.MatchString(text):
		return n.meets(json.Number(text))
	case text == "true" || text == "false":
		return n.meets(text == "true")
	}
	return err
}

// operation is that of a template and a method.
func (d *document) operation(template, method string) (path, op node) {
	path = node{d: d, value: d.tree}.get("paths").get(template)
	return path, path.get(strings.ToLower(method))
}

// sentAnyway are headers that clients send without a document's saying so.
var sentAnyway = []string{"Accept", "Accept-Encoding", "Authorization", "Connection", "Content-Length", "Content-Type",
	"Cookie", "Origin", "Referer", "User-Agent", "X-Forwarded-For", "X-Request-Id"}

// request checks that a request is one of the document, and nothing else: without
// parameters, headers and cookies that the document does not have.
func (d *document) request(template string, req *http.Request, body []byte) []error {
	path, op := d.operation(template, req.Method)
	if op.value == nil {
		return []error{fmt.Errorf("request: %s does not have %s", template, req.Method)}
	}
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf("request: "+format, args...)) }
	query, err := url.ParseQuery(req.URL.RawQuery)
	if err != nil {
		fault("query: %w", err)
	}
	given := map[string]map[string][]string{"path": {}, "query": query, "header": {}, "cookie": {}}
	asked := strings.Split(req.URL.EscapedPath(), "/")
	for i, segment := range strings.Split(template, "/") {
		if name, ok := strings.CutPrefix(segment, "{"); ok && i < len(asked) {
			value, err := url.PathUnescape(asked[i])
			if err != nil {
				fault("path: %w", err)
			}
			given["path"][strings.TrimSuffix(name, "}")] = []string{value}
		}
	}
	for name, values := range req.Header {
		given["header"][name] = values
	}
	for _, c := range req.Cookies() {
		given["cookie"][c.Name] = append(given["cookie"][c.Name], c.Value)
	}
	for _, list := range []node{path.get("parameters"), op.get("parameters")} {
		items, _ := list.value.([]any)
		for i := range items {
			p := list.get(strconv.Itoa(i))
			in, _ := p.members()["in"].(string)
			name, _ := p.members()["name"].(string)
			if in == "header" {
				name = http.CanonicalHeaderKey(name)
			}
			values, ok := given[in][name]
			delete(given[in], name)
			if !ok && p.members()["required"] == true {
				fault("%s %s is missing", in, name)
			}
			if len(values) > 1 {
				fault("%s %s is given %d times", in, name, len(values))
			}
			for _, value := range values {
				if err := p.meetsText(value); err != nil {
					fault("%s %s: %w", in, name, err)
				}
			}
		}
	}
	requirements, _ := op.get("security").value.([]any)
	permitted := len(requirements) == 0
	for _, requirement := range requirements {
		all := true
		for scheme := range requirement.(map[string]any) {
			header, ok := d.credentials(scheme, req)
			delete(given["header"], header)
			all = all && ok
		}
		permitted = permitted || all
	}
	if !permitted {
		fault("it has none of the credentials of %v", requirements)
	}
	for _, name := range sentAnyway {
		delete(given["header"], name)
	}
	for in, unknown := range given {
		for name := range unknown {
			fault("%s %s is not in the document", in, name)
		}
	}
	content := op.get("requestBody")
	switch {
	case content.value == nil && len(body) > 0:
		fault("it has a body")
	case len(body) > 0:
		if err := content.body(req.Header.Get("Content-Type"), body); err != nil {
			fault("%w", err)
		}
	case content.members()["required"] == true:
		fault("it has no body")
	}
	return errs
}

// credentials says whether a request has those of a security scheme, and in which
// header they are.
func (d *document) credentials(scheme string, req *http.Request) (header string, ok bool) {
	s := node{d: d, value: d.tree}.get("components").get("securitySchemes").get(scheme).members()
	switch {
	case s["type"] == "http":
		got, _, _ := strings.Cut(req.Header.Get("Authorization"), " ")
		return "Authorization", strings.EqualFold(got, fmt.Sprint(s["scheme"]))
	case s["type"] == "apiKey" && s["in"] == "header":
		header = http.CanonicalHeaderKey(fmt.Sprint(s["name"]))
		return header, req.Header.Get(header) != ""
	}
	return "", false
}

// response checks that a response is one that the document has for an operation.
func (d *document) response(template, method string, resp *http.Response, body []byte) []error {
	_, op := d.operation(template, method)
	r := op.get("responses").get(strconv.Itoa(resp.StatusCode))
	if r.value == nil {
		return []error{fmt.Errorf("response: %s %s does not have %d", method, template, resp.StatusCode)}
	}
	var errs []error
	for name := range r.get("headers").members() {
		h := r.get("headers").get(name)
		values := resp.Header.Values(name)
		if len(values) == 0 && h.members()["required"] == true {
			errs = append(errs, fmt.Errorf("response: the header %s is missing", name))
		}
		for _, value := range values {
			if err := h.meetsText(value); err != nil {
				errs = append(errs, fmt.Errorf("response: header %s: %w", name, err))
			}
		}
	}
	switch {
	case r.get("content").value != nil:
		if err := r.body(resp.Header.Get("Content-Type"), body); err != nil {
			errs = append(errs, fmt.Errorf("response: %w", err))
		}
	case len(body) > 0:
		errs = append(errs, fmt.Errorf("response: %d has a body", resp.StatusCode))
	}
	return errs
}

// body checks the body of a request or a response.
func (n node) body(contentType string, body []byte) error {
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return fmt.Errorf("the type of the body, %q: %w", contentType, err)
	}
	media := n.get("content").get(mediaType)
	if media.value == nil {
		return fmt.Errorf("the body is %s", contentType)
	}
	if media.members()["schema"] == nil {
		return nil // anything
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("the body: %w", err)
	}
	if err := media.meets(value); err != nil {
		return fmt.Errorf("the body: %w", err)
	}
	return nil
}
