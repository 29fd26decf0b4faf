package spstest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// stateFormat is the version of the JSON format of [Appliance.State].
const stateFormat = 1

// state is the content of [Appliance.State].
type state struct {
	Format        int                        `json:"format"`
	Slots         []Slot                     `json:"slots"`
	Configuration map[string]json.RawMessage `json:"configuration"`
	Collections   map[string][]string        `json:"collections"` // the keys of the objects of each collection, in order
	Users         []stateUser                `json:"users"`
	Fetches       []*fetch                   `json:"fetches"`
	Products      []Product                  `json:"products"`
	Warning       string                     `json:"product_warning"`
	Health        json.RawMessage            `json:"health,omitempty"`
	Setup         string                     `json:"setup,omitempty"`
	Cluster       []json.RawMessage          `json:"cluster,omitempty"`
	Passwords     string                     `json:"spp,omitempty"`
	Bundles       []*bundle                  `json:"bundles,omitempty"`
	Reinstalls    int                        `json:"reinstalls"`
	IDs           map[string]int             `json:"ids"`
}

// stateUser is a user in a state.
type stateUser struct {
	Name     string  `json:"name"`
	Password *string `json:"password,omitempty"` // nil if the user has no password and cannot log in with one
	ReadOnly bool    `json:"read_only"`
	Rights   []Right `json:"rights,omitempty"` // the rights for paths
}

// State returns the state of the appliance as JSON, for [WithState]: the firmware slots,
// the committed configuration, downloads, support bundles, integrated products, health,
// setup, cluster, and the users with their rights and passwords. The state does not
// include sessions, open transactions, recorded sessions, running requests or a running
// restart. It contains secrets: protect it like a password file.
func (a *Appliance) State() []byte {
	a.enter()
	defer a.mu.Unlock()
	s := state{
		Format: stateFormat, Slots: a.slots, Configuration: a.committed.bodies, Collections: a.committed.keys,
		Fetches: a.fetches, Products: a.products, Warning: a.productWarn, Reinstalls: a.reinstalls, IDs: a.ids,
		Health: a.health, Setup: a.setup, Cluster: a.cluster, Passwords: a.passwords, Bundles: a.bundles,
	}
	for _, name := range slices.Sorted(maps.Keys(a.users)) {
		u := a.users[name]
		written := stateUser{Name: name, ReadOnly: u.readOnly, Rights: u.rights()}
		if !u.noPassword {
			written.Password = &u.password
		}
		s.Users = append(s.Users, written)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, encode(s), "", "\t"); err != nil {
		panic(fmt.Sprintf("spstest: state cannot be written: %v", err)) // reached only by a bug in this package
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// WithState restores a state from [Appliance.State]. The password of [WithCredentials] or
// [WithUser] overrides the password of a user in the state, and the rights of WithUser
// override the rights in the state. A user without a password in the state cannot log in
// with a password until [Appliance.SetPassword] is called.
func WithState(content []byte) Option {
	return func(a *Appliance) error {
		var s state
		decoder := json.NewDecoder(bytes.NewReader(content))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&s); err != nil {
			return fmt.Errorf("spstest: state: %w", err)
		}
		if err := s.check(); err != nil {
			return fmt.Errorf("spstest: state: %w", err)
		}
		if err := WithSlots(s.Slots...)(a); err != nil {
			return err
		}
		a.restored = s.Users
		if len(s.Cluster) > 0 {
			if err := WithCluster(s.Cluster...)(a); err != nil {
				return err
			}
		}
		if s.Setup != "" {
			a.setup = s.Setup
		}
		if s.Health != nil {
			a.health = compact(string(s.Health))
		}
		a.passwords = s.Passwords
		a.fetches, a.products, a.productWarn, a.reinstalls = s.Fetches, s.Products, s.Warning, s.Reinstalls
		a.bundles = s.Bundles
		maps.Copy(a.ids, s.IDs)
		return a.restoreConfiguration(&s)
	}
}

// restoreConfiguration replaces the values that the state contains. It keeps the default
// values of endpoints that the state does not contain, because an older version may have
// written the state.
func (a *Appliance) restoreConfiguration(s *state) error {
	restored := a.committed.clone()
	for collection, keys := range s.Collections {
		for _, key := range restored.keys[collection] {
			delete(restored.bodies, collection+"/"+key)
		}
		restored.keys[collection] = slices.Clone(keys)
	}
	for p, body := range s.Configuration {
		v, err := decode(body)
		if err != nil {
			return fmt.Errorf("spstest: state: %s: %w", p, err)
		}
		restored.bodies[p] = compact(string(body))
		parent := a.nodes[parentOf(p)]
		switch inCollection := parent != nil && parent.collection; {
		case inCollection && !slices.Contains(restored.keys[parentOf(p)], path.Base(p)):
			return fmt.Errorf("spstest: state: %s is not listed in its collection", p)
		case !inCollection && a.nodes[p] == nil:
			a.nodes[p] = &node{shape: infer(v)}
		}
	}
	a.committed = restored
	return nil
}

func (s *state) check() error {
	if s.Format != stateFormat {
		return fmt.Errorf("format %d: want %d", s.Format, stateFormat)
	}
	for p, keys := range s.Collections {
		for _, key := range keys {
			if s.Configuration[p+"/"+key] == nil {
				return fmt.Errorf("%s lacks the object %q", p, key)
			}
		}
	}
	for p := range s.Configuration {
		if !strings.HasPrefix(p, configurationPath+"/") {
			return fmt.Errorf("%s is not below %s", p, configurationPath)
		}
	}
	if slices.Contains(s.Fetches, nil) {
		return errors.New("one of the downloads is null")
	}
	if slices.Contains(s.Bundles, nil) {
		return errors.New("one of the support bundles is null")
	}
	return nil
}

// restoreUsers adds the users of a state. Passwords and rights from options override
// those of the state.
func (a *Appliance) restoreUsers() error {
	for _, s := range a.restored {
		u := a.users[s.Name]
		if u == nil || !u.named {
			u = &user{name: s.Name, noPassword: s.Password == nil}
			if s.Password != nil {
				u.password = *s.Password
			}
			a.users[s.Name] = u
		}
		if u.granted {
			continue
		}
		u.readOnly = s.ReadOnly
		for _, right := range s.Rights {
			if err := u.grant(right); err != nil {
				return err
			}
		}
	}
	return nil
}
