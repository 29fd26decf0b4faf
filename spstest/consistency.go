package spstest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// usersOf returns the links of the objects that refer to a link.
func (s *store) usersOf(link string) []string {
	var users []string
	for _, p := range slices.Sorted(maps.Keys(s.bodies)) {
		if slices.Contains(s.links(p), link) {
			users = append(users, href(p))
		}
	}
	return users
}

// links returns the links of the references in the body at a path. It does not decode a
// body that contains no reference.
func (s *store) links(p string) []string {
	if !bytes.Contains(s.bodies[p], []byte(`"href"`)) {
		return nil
	}
	v, err := decode(s.bodies[p])
	if err != nil {
		return nil
	}
	return links(v)
}

func nameOf(body json.RawMessage) string {
	var named struct {
		Name string `json:"name"`
	}
	_ = json.Unmarshal(body, &named)
	return named.Name
}

// inconsistency is a problem of the configuration that involves one or more paths.
type inconsistency struct {
	message string
	paths   []string
}

// inconsistencies returns the problems of a configuration: duplicate names, references to
// missing objects, secrets that are used twice, and problems of single objects.
func (a *Appliance) inconsistencies(s *store) []inconsistency {
	var found []inconsistency
	for _, collection := range slices.Sorted(maps.Keys(s.keys)) {
		owners := make(map[string]string)
		for _, key := range s.keys[collection] {
			p := collection + "/" + key
			name := nameOf(s.bodies[p])
			if name == "" {
				continue
			}
			if other, taken := owners[name]; taken {
				found = append(found, inconsistency{fmt.Sprintf("The name %q is not unique", name), []string{href(other), href(p)}})
				continue
			}
			owners[name] = p
		}
	}
	used := make(map[string]string)
	for _, p := range slices.Sorted(maps.Keys(s.bodies)) {
		if n := a.nodes[parentOf(p)]; n != nil && n.inconsistent != nil {
			found = append(found, n.inconsistent(p, s.bodies[p])...)
		}
		for _, link := range s.links(p) {
			target, _, _ := strings.Cut(strings.TrimPrefix(link, "/api/"), "#")
			n := a.nodes[parentOf(target)]
			if n == nil || !n.collection {
				continue
			}
			if _, ok := s.bodies[target]; !ok {
				found = append(found, inconsistency{"A reference points to an object that does not exist", []string{href(p), link}})
			}
			if other, taken := used[link]; taken && n.secrets {
				found = append(found, inconsistency{"Several references use the same secret", []string{link, href(other), href(p)}})
			}
			used[link] = p
		}
	}
	return found
}

func (a *Appliance) semanticError(x *exchange, found []inconsistency) answer {
	return x.fail(http.StatusBadRequest, "SemanticError", "The configuration is not consistent", a.semanticDetails(found))
}

func (a *Appliance) semanticDetails(found []inconsistency) any {
	if a.variant("semantic-details") == "objects" {
		details := make([]object, len(found))
		for i, f := range found {
			details[i] = object{"message": f.message, "paths": f.paths}
		}
		return details
	}
	details := make([]string, len(found))
	for i, f := range found {
		details[i] = f.message + ": " + strings.Join(f.paths, ", ")
	}
	return details
}
