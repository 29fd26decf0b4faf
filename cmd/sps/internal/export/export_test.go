package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/spstest"
)

// TestFileName checks the file names of paths, and that pathOf refuses other names.
func TestFileName(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ path, want string }{
		{"configuration", "configuration.json"},
		{"configuration/management/email", "configuration/management/email.json"},
		{"configuration/policies/time_policies/-100", "configuration/policies/time_policies/-100.json"},
		{"configuration/x/rsa-10.0.0.1:22", "configuration/x/rsa-10%2e0%2e0%2e1%3a22.json"},
		{"configuration/..", "configuration/%2e%2e.json"},
		{"../configuration", "%2e%2e/configuration.json"},
		{"configuration/a\x00b\\c", "configuration/a%00b%5cc.json"},
		{"configuration/Őr", "configuration/%c5%90r.json"},
		{"configuration/A", "configuration/%41.json"},
		{"configuration/a.json", "configuration/a%2ejson.json"},
		{"configuration/100%", "configuration/100%25.json"},
		{"configuration/%2e", "configuration/%252e.json"},
		{"configuration/con/com1/connections/com", "configuration/%63on/%63om1/connections/com.json"},
		{"_export", "_export.json"},
	} {
		if got := fileName(test.path); got != test.want {
			t.Errorf("fileName(%q) = %q, want %q", test.path, got, test.want)
		}
		if got, ok := pathOf(test.want); !ok || got != test.path {
			t.Errorf("pathOf(%q) = %q, %v, want %q", test.want, got, ok, test.path)
		}
	}
	for _, file := range []string{"a", "a.JSON", "A.json", "a.b.json", "a%2E.json", "a%6a.json", "a%.json", "../a.json", ".json.swp"} {
		if p, ok := pathOf(file); ok {
			t.Errorf("pathOf(%q) = %q, want none", file, p)
		}
	}
}

// FuzzFileName checks that pathOf returns the path of each file name, and that no file name
// leaves the folder.
func FuzzFileName(f *testing.F) {
	f.Add("configuration/a/../b")
	f.Fuzz(func(t *testing.T, p string) {
		name := fileName(p)
		if got, ok := pathOf(name); !ok || got != p {
			t.Errorf("pathOf(fileName(%q)) = %q, %v", p, got, ok)
		}
		if strings.HasPrefix(p, "configuration/") && !strings.Contains(p, "//") && !strings.HasSuffix(p, "/") && !fs.ValidPath(name) {
			t.Errorf("fileName(%q) = %q, which may be outside", p, name)
		}
	})
}

// TestCheckRoot checks which paths are accepted as a root.
func TestCheckRoot(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ root, want string }{ // want is "" if the root is refused
		{"configuration", "configuration"},
		{"/api/configuration/management/", "configuration/management"},
		{"api/configuration", "configuration"},
		{"", ""},
		{"configurations", ""},
		{"firmware", ""},
		{"configuration?x=1", ""},
		{"configuration%2f..", ""},
	} {
		got, err := CheckRoot(test.root)
		if got != test.want || (err != nil) != (test.want == "") {
			t.Errorf("CheckRoot(%q) = %q, %v, want %q", test.root, got, err, test.want)
		}
	}
}

// TestUnavailable checks that an appliance that becomes unavailable ends the export, and that a
// refused object does not.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	client, err := sps.Connect(t.Context(), a.Addr(), sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())),
		sps.WithCABundle(a.CA()), sps.WithRetry(sps.RetryPolicy{Attempts: 1}))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(t.Context())
	for _, status := range []int{429, 502, 503, 504, 500} {
		a.Inject(spstest.Fault{Path: "configuration/management/email", Status: status})
		e, err := Read(t.Context(), client, Configuration, func(string) {})
		if goesOn := status == 500; goesOn != (err == nil) || goesOn != (e != nil) || !goesOn && !errors.Is(err, sps.Status(status)) {
			t.Errorf("status %d gives %v", status, err)
		}
	}
}

// TestDocumented checks which refusals the function documented accepts as expected.
func TestDocumented(t *testing.T) {
	t.Parallel()
	refused := &sps.Error{Status: 403, Type: sps.Unauthorized}
	for _, test := range []struct {
		path string
		err  error
		want bool
	}{
		{"configuration/passwords", refused, true},
		{"configuration/private_keys", &sps.Error{Status: 405, Type: sps.MethodNotAllowed}, true},
		{"configuration/passwords/1", refused, false},
		{"configuration/aaa", refused, false},
		{"configuration/passwords", &sps.Error{Status: 500}, false},
		{"configuration/passwords", sps.ErrBadAnswer, false},
	} {
		if got := documented(test.path, test.err); got != test.want {
			t.Errorf("documented(%s, %v) = %v", test.path, test.err, got)
		}
	}
}

// TestEncode checks that decoding and encoding keep numbers and escape control characters.
func TestEncode(t *testing.T) {
	t.Parallel()
	value, err := decode([]byte(`{"b":1.50,"a":[],"c":"<&>\u009b\u202e\ud834\udd73é","d":12345678901234567890,"e":null}`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := out.Encode(value, "", "")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(`{"a":[],"b":1.50,"c":"<&>\u009b\u202e\ud834\udd73é","d":12345678901234567890,"e":null}`+"\n", string(got)); d != "" {
		t.Errorf("encoded (-want +got):\n%s", d)
	}
	again, err := decode(got)
	if d := cmp.Diff(value, again); d != "" || err != nil {
		t.Errorf("decoded again: %v (-want +got):\n%s", err, d)
	}
	for _, broken := range []string{"", "{", "1 2", `{"a":1}]`} {
		if value, err := decode([]byte(broken)); err == nil {
			t.Errorf("decode(%q) = %v", broken, value)
		}
	}
}

// sample returns an export with a value in each field.
func sample() *Export {
	return &Export{
		Name: "lab", Host: "sps1", Version: "8.0.0", ConfigHash: "0123", Changed: true, Root: "configuration",
		Listings: []string{"configuration", "configuration/a"},
		Objects: []Object{
			{"configuration/a/2", map[string]any{"name": "two", "n": json.Number("1.0")}},
			{"configuration/a/1", []any{}},
			{"configuration/a/1.json/x", nil},
		},
		Refused: []Refusal{{Path: "configuration/passwords", Error: "no", Documented: true}, {Path: "configuration/a", Key: "..", Error: "a key"}},
	}
}

// create writes an export into a folder.
func create(t *testing.T, target string, replace bool, e *Export) {
	t.Helper()
	folder, err := Create(target, replace)
	if err == nil {
		err = folder.Write(t.Context(), e)
	}
	if err == nil {
		err = folder.Commit()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// names returns the names of the files in a folder.
func names(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	found := []string{}
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	return found
}

// TestFolder checks that a folder is written, loaded and replaced, and that its owner alone can
// read it.
func TestFolder(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	target := filepath.Join(parent, "sps1")
	create(t, target, false, sample())
	got, err := Load(target)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(sample(), got); d != "" {
		t.Errorf("loaded (-want +got):\n%s", d)
	}
	if err := filepath.WalkDir(target, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %v", name, info.Mode())
		}
		return err
	}); err != nil {
		t.Error(err)
	}

	if _, err := Create(target, false); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("a folder that exists gives %v", err)
	}
	small := &Export{Root: "configuration/a", Listings: []string{"configuration/a"}, Refused: []Refusal{}}
	create(t, target, true, small)
	got, err = Load(target)
	if d := cmp.Diff(small, got); d != "" || err != nil {
		t.Errorf("replaced: %v (-want +got):\n%s", err, d)
	}
	if d := cmp.Diff([]string{"_export.json"}, names(t, target)); d != "" {
		t.Errorf("files (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"sps1"}, names(t, parent)); d != "" {
		t.Errorf("beside it (-want +got):\n%s", d)
	}
	create(t, filepath.Join(parent, "new"), true, small) // --replace accepts a new folder
}

// TestFolderIsLeftAlone checks that a folder is not replaced if it is not an export or has other
// files.
func TestFolderIsLeftAlone(t *testing.T) {
	t.Parallel()
	add := func(name, content string) func(string) error {
		return func(folder string) error {
			name := filepath.Join(folder, name)
			return errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(content), 0o600))
		}
	}
	for _, test := range []struct {
		name   string
		change func(folder string) error
		want   string
	}{
		{"no index", func(folder string) error { return os.Remove(filepath.Join(folder, index)) }, "is not an export"},
		{"a repository", add(".git/HEAD", "ref"), `contains ".git", which does not belong to an export`},
		{"notes", add("README.md", "x"), `contains "README.md"`},
		{"notes inside", add("configuration/notes.txt", "x"), `contains "configuration/notes.txt"`},
		{"another tree", add("firmware/slots.json", "{}"), `contains "firmware"`},
		{"a link", func(folder string) error { return os.Symlink("/", filepath.Join(folder, "configuration/b.json")) }, "which does not belong to an export"},
		{"a file", func(folder string) error { return errors.Join(os.RemoveAll(folder), os.WriteFile(folder, nil, 0o600)) }, "is not a folder"},
		{"a link to an export", func(folder string) error {
			return errors.Join(os.Rename(folder, folder+"-elsewhere"), os.Symlink(folder+"-elsewhere", folder))
		}, "is not a folder"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			target := filepath.Join(parent, "sps1")
			create(t, target, false, sample())
			late, err := Create(target, true) // the target changes before Commit
			if err != nil {
				t.Fatal(err)
			}
			if err := test.change(target); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(late.Write(t.Context(), sample()), late.Commit()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Commit gives %v, want %q", err, test.want)
			}
			if err := late.Discard(); err != nil {
				t.Error(err)
			}
			if _, err := Create(target, true); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Create gives %v, want %q", err, test.want)
			}
			if _, err := Load(target); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Load gives %v, want %q", err, test.want)
			}
			for _, name := range names(t, parent) {
				if strings.HasPrefix(name, ".") {
					t.Errorf("%s is left", name)
				}
			}
		})
	}
}

// TestWriteInterrupted checks that an interrupted export leaves no files.
func TestWriteInterrupted(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	folder, err := Create(filepath.Join(parent, "sps1"), false)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("somebody interrupts")
	cancel(why)
	if err := folder.Write(ctx, sample()); !errors.Is(err, why) {
		t.Errorf("Write gives %v", err)
	}
	if err := folder.Discard(); err != nil {
		t.Error(err)
	}
	if left := names(t, parent); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// TestLoadDamaged checks that Load refuses damaged folders.
func TestLoadDamaged(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, file, content, want string }{
		{"no JSON", index, "{", "unexpected end"},
		{"another format", index, `{"format":2}`, "format 2"},
		{"no root", index, `{"format":1}`, `"" is not the path of a configuration object`},
		{"a path outside", index, `{"format":1,"root":"configuration","objects":["../x"]}`, `"../x" is not the path of`},
		{"a file too few", index, `{"format":1,"root":"configuration","objects":["configuration/b"]}`, "configuration/b.json"},
		{"a file too many", "configuration/b.json", "{}", `"configuration/b.json", which is not in its index`},
		{"a broken file", "configuration/a/1.json", "{} {}", "there is more text after the JSON value"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			target := filepath.Join(t.TempDir(), "sps1")
			create(t, target, false, sample())
			if err := os.WriteFile(filepath.Join(target, filepath.FromSlash(test.file)), []byte(test.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if e, err := Load(target); e != nil || err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Load gives %v, %v, want %q", e, err, test.want)
			}
		})
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load of nothing gives %v", err)
	}
}

// TestFolderFails checks the errors for folders and files that cannot be created.
func TestFolderFails(t *testing.T) {
	t.Parallel()
	if _, err := Create(filepath.Join(t.TempDir(), "none", "sps1"), false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a parent that does not exist gives %v", err)
	}
	folder, err := Create(filepath.Join(t.TempDir(), "sps1"), false)
	if err != nil {
		t.Fatal(err)
	}
	long := &Export{Objects: []Object{{"configuration/" + strings.Repeat("k", 300), nil}}}
	if err := folder.Write(t.Context(), long); err == nil {
		t.Error("a key of 300 bytes was written")
	}
	twice := &Export{Objects: []Object{{"configuration/a", nil}, {"configuration/a", nil}}}
	if err := folder.Write(t.Context(), twice); !errors.Is(err, fs.ErrExist) {
		t.Errorf("an object that is there twice gives %v", err)
	}
	if err := folder.Discard(); err != nil {
		t.Error(err)
	}
	if _, err := out.Encode(fmt.Sprint, "", ""); err == nil {
		t.Error("a function was encoded")
	}
}
