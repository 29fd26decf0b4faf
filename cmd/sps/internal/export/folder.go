package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/go-sps/sps/cmd/sps/internal/out"
)

// format is the version of the layout of an export folder.
const format = 1

// indexFile is the content of the index file.
type indexFile struct {
	Format     int       `json:"format"`
	Appliance  string    `json:"appliance"`
	Host       string    `json:"host"`
	Version    string    `json:"firmware_version"`
	ConfigHash string    `json:"config_hash"`
	Changed    bool      `json:"changed_meanwhile"`
	Root       string    `json:"root"`
	Listings   []string  `json:"listings"`
	Objects    []string  `json:"objects"`
	Refused    []Refusal `json:"refused"`
}

func decodeIndex(data []byte) (*indexFile, error) {
	content := &indexFile{}
	switch err := json.Unmarshal(data, content); {
	case err != nil:
		return nil, err
	case content.Format != format:
		return nil, fmt.Errorf("the export has format %d, and this tool reads format %d: use a newer sps, or export again", content.Format, format)
	}
	for _, p := range append([]string{content.Root}, append(content.Listings, content.Objects...)...) {
		if !Within(p, Configuration) {
			return nil, fmt.Errorf("%q is not the path of a configuration object: export again", p)
		}
	}
	return content, nil
}

// Folder is an export folder that is being written. Until Commit it has a temporary name in the
// parent folder of the target.
type Folder struct {
	target, temporary string
	replace           bool
}

// Create starts a folder with a temporary name. If the target exists, Create returns an error,
// unless replace is true and the target is an export without foreign files.
func Create(target string, replace bool) (*Folder, error) {
	target, err := filepath.Abs(target)
	if err != nil {
		return nil, err
	}
	f := &Folder{target: target, replace: replace}
	if _, err := f.old(); err != nil {
		return nil, err
	}
	f.temporary, err = os.MkdirTemp(filepath.Dir(target), "."+filepath.Base(target)+".partial-*")
	if err != nil {
		return nil, err
	}
	return f, nil
}

// old reports whether the target exists and may be replaced. It returns an error if the target
// exists and must not be replaced.
func (f *Folder) old() (bool, error) {
	_, err := os.Lstat(f.target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case !f.replace:
		return false, fmt.Errorf("%s already exists: name another folder, or replace an export with --replace", f.target)
	}
	return true, checkExport(f.target)
}

// checkExport returns an error if a folder is not an export, or has files that do not belong to
// an export, such as a Git repository.
func checkExport(folder string) error {
	info, err := os.Lstat(folder)
	if err != nil {
		return fmt.Errorf("%w: name a folder that \"sps config export\" made", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder: name the folder of an export", folder)
	}
	if info, err := os.Lstat(filepath.Join(folder, index)); err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not an export, because it has no %s: name a folder that \"sps config export\" made", folder, index)
	}
	return fs.WalkDir(os.DirFS(folder), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == "." || name == index {
			return err
		}
		if entry.IsDir() {
			name += extension
		} else if !entry.Type().IsRegular() {
			return foreign(folder, name)
		}
		if p, ok := pathOf(name); !ok || !Within(p, Configuration) {
			return foreign(folder, strings.TrimSuffix(name, extension))
		}
		return nil
	})
}

func foreign(folder, name string) error {
	return fmt.Errorf("%s contains %q, which does not belong to an export: move it away, or name another folder", folder, name)
}

// Write writes the files of an export into the folder.
func (f *Folder) Write(ctx context.Context, e *Export) error {
	root, err := os.OpenRoot(f.temporary)
	if err != nil {
		return err
	}
	defer root.Close()
	content := indexFile{
		format, e.Name, e.Host, e.Version, e.ConfigHash, e.Changed, e.Root,
		append([]string{}, e.Listings...), []string{}, append([]Refusal{}, e.Refused...), // an empty list is [], not null
	}
	for _, object := range e.Objects {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		content.Objects = append(content.Objects, object.Path)
		if err := write(root, fileName(object.Path), object.Body); err != nil {
			return err
		}
	}
	return write(root, index, content)
}

func write(root *os.Root, name string, value any) error {
	content, err := out.Encode(value, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return err
	}
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Close())
}

// Commit renames the folder to the target, and removes the export that it replaces.
func (f *Folder) Commit() error {
	exists, err := f.old() // the target may have changed since Create
	if err != nil {
		return err
	}
	if !exists {
		return os.Rename(f.temporary, f.target)
	}
	old := f.temporary + "-old"
	if err := os.Rename(f.target, old); err != nil {
		return err
	}
	if err := os.Rename(f.temporary, f.target); err != nil {
		return errors.Join(err, os.Rename(old, f.target))
	}
	if err := os.RemoveAll(old); err != nil {
		return fmt.Errorf("%s is written, but the export that it replaced is still in %s: %w: remove it by hand", f.target, old, err)
	}
	return nil
}

// Discard removes a folder that Commit has not renamed.
func (f *Folder) Discard() error { return os.RemoveAll(f.temporary) }

// Load reads an export folder. It returns an error if a file of the index is missing, or if the
// folder has files that the index does not list.
func Load(folder string) (*Export, error) {
	if err := checkExport(folder); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	fault := func(name string, err error) (*Export, error) {
		return nil, fmt.Errorf("%s: %w: export again", filepath.Join(folder, filepath.FromSlash(name)), err)
	}
	data, err := root.ReadFile(index)
	if err != nil {
		return nil, err
	}
	content, err := decodeIndex(data)
	if err != nil {
		return fault(index, err)
	}
	e := &Export{
		Name: content.Appliance, Host: content.Host, Version: content.Version, ConfigHash: content.ConfigHash, Changed: content.Changed,
		Root: content.Root, Listings: content.Listings, Refused: content.Refused,
	}
	known := map[string]bool{index: true}
	for _, p := range content.Objects {
		name := fileName(p)
		known[name] = true
		data, err := root.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w: export again", folder, err)
		}
		body, err := decode(data)
		if err != nil {
			return fault(name, err)
		}
		e.Objects = append(e.Objects, Object{p, body})
	}
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && !known[name] {
			return fmt.Errorf("%s contains %q, which is not in its index %s: move it away, or export again", folder, name, index)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return e, nil
}
