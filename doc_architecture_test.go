package capycoin_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// sources are the packages of this module: their comments, and all that they declare.
type sources struct {
	comments map[string]string // by the path below the module's; "" is the library
	names    map[string]bool   // Name, Type.Name, package.Name and path/to/file
}

func readSources(t *testing.T) sources {
	t.Helper()
	s := sources{comments: make(map[string]string), names: make(map[string]bool)}
	err := filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() && (strings.HasPrefix(path, "examples") || strings.HasPrefix(e.Name(), ".") && path != ".") {
			return errOrSkip(err)
		}
		path = filepath.ToSlash(path)
		if s.names[path], s.names[e.Name()] = true, true; !strings.HasSuffix(path, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		if dir := strings.TrimSuffix(path, e.Name()); !strings.HasSuffix(path, "_test.go") {
			s.comments[strings.TrimSuffix(dir, "/")] += f.Doc.Text()
		}
		s.declared(f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func errOrSkip(err error) error {
	if err != nil {
		return err
	}
	return fs.SkipDir
}

// declared takes in what a file declares.
func (s *sources) declared(f *ast.File) {
	note := func(name string) {
		s.names[name], s.names[f.Name.Name+"."+name] = true, true
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			note(d.Name.Name)
			if d.Recv == nil {
				continue
			}
			of := d.Recv.List[0].Type
			if p, ok := of.(*ast.StarExpr); ok {
				of = p.X
			}
			if id, ok := of.(*ast.Ident); ok {
				s.names[id.Name+"."+d.Name.Name] = true
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					note(spec.Name.Name)
					if st, ok := spec.Type.(*ast.StructType); ok {
						for _, field := range st.Fields.List {
							for _, id := range field.Names {
								s.names[id.Name] = true
							}
						}
					}
				case *ast.ValueSpec:
					for _, id := range spec.Names {
						note(id.Name)
					}
				}
			}
		}
	}
}

// TestArchitecture holds docs/architecture.md to the tree: it has each package, in the
// picture and in the table but for those of tests, and each name in it is there.
func TestArchitecture(t *testing.T) {
	b, err := os.ReadFile("docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := strings.ReplaceAll(string(b), "\r\n", "\n")
	parts := strings.Split(doc, "```")
	if len(parts) != 3 {
		t.Fatalf("it has %d parts, want a picture between two", len(parts))
	}
	picture := regexp.MustCompile(`[\w/]+`).FindAllString(parts[1], -1)
	s := readSources(t)
	ofTests := []string{"internal/tune", "internal/example", "internal/curve", "internal/harness", "internal/plants"}
	for name := range s.comments {
		if name == "" {
			name = "capycoin"
		}
		if !strings.Contains(doc, "\n| `"+name+"` | ") {
			t.Errorf("the table lacks the room %s", name)
		}
		if slices.Contains(picture, name) == slices.Contains(ofTests, name) {
			t.Errorf("the picture has the room %s: %t", name, slices.Contains(picture, name))
		}
	}
	s.names["capycoin"] = true
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(parts[0]+parts[2], -1) {
		if !s.names[m[1]] && !s.names["internal/plants/"+m[1]] {
			t.Errorf("there is no %s", m[1])
		}
	}
}

// TestContracts: the comment of each package says what it does not know, and what it
// locks.
func TestContracts(t *testing.T) {
	not := regexp.MustCompile(`(?i)knows? no|know(s|ing)? nothing|not know`)
	locks := regexp.MustCompile(`(?i)\block(s|ed)?\b`)
	for name, comment := range readSources(t).comments {
		if name == "" || name == "cmd/capycoind" {
			continue // what they are for users is told there
		}
		comment = strings.Join(strings.Fields(comment), " ")
		if !not.MatchString(comment) {
			t.Errorf("package %s does not say what it does not know", name)
		}
		if !locks.MatchString(comment) {
			t.Errorf("package %s says nothing of locks", name)
		}
	}
}
