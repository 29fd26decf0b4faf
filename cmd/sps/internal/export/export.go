// Package export reads the configuration of an appliance, and keeps it in a folder
// of JSON files.
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

// Configuration is the root of everything that can be exported.
const Configuration = "configuration"

// Export is a configuration, or a part of it, as it was read.
type Export struct {
	// Host is the appliance, and Version the firmware that it runs.
	Host, Version string
	// ConfigHash is the appliance's own mark of the configuration.
	ConfigHash string
	// Changed is set if the configuration was changed while it was read, so that
	// its parts may not fit together.
	Changed bool
	// Root is the path of what was read.
	Root string
	// Listings are the paths that list others, and Objects those with a body, both
	// in the order of the appliance.
	Listings []string
	Objects  []Object
	// Refused is what could not be read.
	Refused []Refusal
}

// Object is something with a body: a value as package json decodes it, with
// numbers as json.Number.
type Object struct {
	Path string
	Body any
}

// Refusal is something that could not be read.
type Refusal struct {
	// Path is its path. If Key is not empty, it is one object below Path, with
	// a key that cannot be part of a path.
	Path string `json:"path"`
	Key  string `json:"key,omitempty"`
	// Error is why, in a line that is fit to print.
	Error string `json:"error"`
	// Documented is set if no appliance lets anybody read it.
	Documented bool `json:"documented"`
}

// writeOnly are the lists that no appliance shows. Their objects hold secrets, and
// others refer to them by their keys.
var writeOnly = []string{"configuration/passwords", "configuration/private_keys"}

// CheckRoot makes sure that a path is configuration or below it, and gives it
// without the decoration that links have.
func CheckRoot(root string) (string, error) {
	root = strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(root, "/"), "api/"), "/")
	if !Within(root, Configuration) || strings.ContainsAny(root, "?#%") {
		return "", fmt.Errorf("%q is neither %s nor a path below it", root, Configuration)
	}
	return root, nil
}

// Within tells whether a path is the root or below it.
func Within(path, root string) bool { return path == root || strings.HasPrefix(path, root+"/") }

// Read reads everything at and below the root. An appliance that goes away meanwhile
// is an error: an export of the half must not take the place of a whole one.
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
		if node.Path == "" { // a key that cannot be part of a path
			r.Path, r.Key = node.Parent, node.Key
		}
		e.Refused = append(e.Refused, r)
	case node.Body != nil:
		e.Objects = append(e.Objects, Object{node.Path, body})
	default:
		e.Listings = append(e.Listings, node.Path)
	}
}

// documented tells a refusal that every appliance gives from one that is worth a
// look: one of the appliance itself, and none of its troubles.
func documented(path string, err error) bool {
	var refused *sps.Error
	return slices.Contains(writeOnly, path) && errors.As(err, &refused) && refused.Status >= 400 && refused.Status < 500
}

// decode reads one value. Numbers keep their spelling.
func decode(data []byte) (value any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("something follows the JSON value")
	}
	return value, nil
}
