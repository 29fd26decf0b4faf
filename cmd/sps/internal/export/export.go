// Package export reads the configuration of an appliance, and stores it in a folder of JSON
// files.
package export

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/cmd/sps/internal/text"
)

// Configuration is the path at and below which objects can be exported.
const Configuration = "configuration"

// Export is the configuration of an appliance, or a part of it.
type Export struct {
	// Name is the name of the appliance: its host as it was written on the command line, or its
	// name in the configuration file of the tool. It may be empty.
	Name string
	// Host is the address of the appliance, and Version the version of its firmware.
	Host, Version string
	// ConfigHash is the hash of the configuration that the appliance reports.
	ConfigHash string
	// Changed is true if the configuration was changed while it was read, so that its parts
	// may be inconsistent.
	Changed bool
	// Root is the path at and below which the export was read.
	Root string
	// Listings are the paths of the lists, and Objects the objects with a body. Both have the
	// order of the appliance.
	Listings []string
	Objects  []Object
	// Refused are the objects that could not be read.
	Refused []Refusal
}

// Label returns the name of the appliance, or its host if the export has no name.
func (e *Export) Label() string {
	if e.Name == "" {
		return e.Host
	}
	return e.Name
}

// Object is an object with a body. The body is decoded by package json, with numbers as
// json.Number.
type Object struct {
	Path string
	Body any
}

// Refusal is an object that could not be read.
type Refusal struct {
	// Path is the path of the object. If Key is not empty, the object is in the list Path, and
	// Key is its key, which cannot be part of a path.
	Path string `json:"path"`
	Key  string `json:"key,omitempty"`
	// Error is the reason, in one line that is safe to print.
	Error string `json:"error"`
	// Documented is true if the API does not return the object, because it holds secrets.
	Documented bool `json:"documented"`
}

// writeOnly are the paths of the lists that the API does not return. Their objects hold secrets.
// Other objects refer to them by their keys.
var writeOnly = []string{"configuration/passwords", "configuration/private_keys"}

// CheckRoot returns a path without "/api/" at its start and without a slash at its end. It
// returns an error if the path is neither configuration nor below it.
func CheckRoot(root string) (string, error) {
	root = strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(root, "/"), "api/"), "/")
	if !Within(root, Configuration) || strings.ContainsAny(root, "?#%") {
		return "", fmt.Errorf("%q is neither %s nor a path below it: give a path such as configuration/management", root, Configuration)
	}
	return root, nil
}

// Within reports whether a path equals root or is below it.
func Within(path, root string) bool { return path == root || strings.HasPrefix(path, root+"/") }

// Read reads the objects at and below the root. If the appliance becomes unavailable during the
// read, Read returns an error, so that an incomplete export does not replace a complete one.
func Read(ctx context.Context, client *sps.Client, root string, progress func(path string)) (*Export, error) {
	before, err := client.Info(ctx)
	if err != nil {
		return nil, err
	}
	e := &Export{Host: client.Host(), Version: before.FirmwareVersion, Root: root}
	nodes, err := readAll(ctx, client, root, progress)
	if err != nil {
		return nil, err
	}
	for _, node := range nodes {
		e.add(node)
	}
	after, err := client.Info(ctx)
	if err != nil {
		return nil, err
	}
	e.ConfigHash, e.Changed = after.ConfigHash, before.ConfigHash != after.ConfigHash
	return e, nil
}

func (e *Export) add(node *sps.WalkNode) {
	refused := node.Err
	var body any
	if refused == nil && node.Body != nil {
		body, refused = decode(node.Body)
	}
	switch {
	case refused != nil:
		r := Refusal{Path: node.Path, Error: text.Line(refused.Error()), Documented: documented(node.Path, refused)}
		if node.Path == "" { // its key cannot be part of a path
			r.Path, r.Key = node.Parent, node.Key
		}
		e.Refused = append(e.Refused, r)
	case node.Body != nil:
		e.Objects = append(e.Objects, Object{node.Path, body})
	default:
		e.Listings = append(e.Listings, node.Path)
	}
}

// documented reports whether a refusal is expected: the path is in writeOnly, and the appliance
// refused the request with a status code from 400 to 499.
func documented(path string, err error) bool {
	var refused *sps.Error
	return slices.Contains(writeOnly, path) && errors.As(err, &refused) && refused.Status >= 400 && refused.Status < 500
}

// decode decodes one JSON value. Numbers keep their spelling.
func decode(data []byte) (value any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("there is more text after the JSON value")
	}
	return value, nil
}
