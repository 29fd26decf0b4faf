// Package hand reads recorded sessions without the SDK, for comparison. It uses net/http, a
// struct with the members of a session, and github.com/go-json-experiment/json. It checks
// errors and closes bodies.
package hand

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Sessions reads the recorded sessions of one appliance.
type Sessions struct {
	Client  *http.Client
	URL     string // scheme and host, without a path
	Session string // value of the session_id cookie
}

// Session is a recorded session. It has the documented members of a session.
type Session struct {
	Key  string `json:"key"`
	Body struct {
		Active            bool      `json:"active"`
		Origin            string    `json:"origin"`
		Protocol          string    `json:"protocol"`
		Verdict           string    `json:"verdict"`
		NodeID            string    `json:"node_id"`
		CreationTime      time.Time `json:"creation_time"`
		StartTime         time.Time `json:"start_time"`
		EndTime           time.Time `json:"end_time"`
		Duration          int       `json:"duration"`
		TrailDownloadLink string    `json:"trail_download_link"`
		Client            Address   `json:"client"`
		Server            struct {
			ID string `json:"id"`
			Address
		} `json:"server"`
		User struct {
			ID                    string   `json:"id"`
			Name                  string   `json:"name"`
			NameDomain            string   `json:"name_domain"`
			GatewayUsername       string   `json:"gateway_username"`
			GatewayUsernameDomain string   `json:"gateway_username_domain"`
			ServerUsername        []string `json:"server_username"`
		} `json:"user"`
		Recording struct {
			Archived             bool           `json:"archived"`
			Archive              jsontext.Value `json:"archive"`
			AuthMethod           string         `json:"auth_method"`
			ChannelPolicy        string         `json:"channel_policy"`
			CommandExtracted     bool           `json:"command_extracted"`
			ConnectionPolicy     string         `json:"connection_policy"`
			ConnectionPolicyID   string         `json:"connection_policy_id"`
			ContentReferenceID   int            `json:"content_reference_id"`
			IndexStatus          string         `json:"index_status"`
			SessionID            string         `json:"session_id"`
			Verdict              string         `json:"verdict"`
			DenyReason           string         `json:"deny_reason"`
			NetworkID            string         `json:"network_id"`
			WindowTitleExtracted bool           `json:"window_title_extracted"`
			ServerLocal          Address        `json:"server_local"`
			Target               Address        `json:"target"`
		} `json:"recording"`
		Analytics struct {
			InterestingEvents []string `json:"interesting_events"`
			Score             struct {
				Aggregated int `json:"aggregated"`
				Details    struct {
					Command     score `json:"command"`
					FIS         score `json:"fis"`
					HostLogin   score `json:"hostlogin"`
					LoginTime   score `json:"logintime"`
					Keystroke   score `json:"keystroke"`
					Mouse       score `json:"mouse"`
					WindowTitle score `json:"windowtitle"`
				} `json:"details"`
			} `json:"score"`
			Scripted             bool             `json:"scripted"`
			SimilarSessions      []jsontext.Value `json:"similar_sessions"`
			Tags                 []jsontext.Value `json:"tags"`
			BucketedDuration     string           `json:"bucketed_duration"`
			BucketedStartingHour string           `json:"bucketed_starting_hour"`
		} `json:"analytics"`
		Log   jsontext.Value `json:"log"`
		Vault jsontext.Value `json:"vault"` // an object or a list
	} `json:"body"`
}

type score struct {
	Score int `json:"score"`
}

// Address is one end of a connection.
type Address struct {
	IP   string `json:"ip"`
	Name string `json:"name"`
	Port int    `json:"port"`
}

// page is a page of a list with items of type T.
type page[T any] struct {
	Items []T `json:"items"`
	Meta  struct {
		Next string `json:"next"`
	} `json:"meta"`
}

// Each makes a snapshot, decodes each session in it, and calls do with it.
func (s *Sessions) Each(ctx context.Context, do func(*Session) error) error {
	return pages(ctx, s, func(items []Session) error {
		for i := range items {
			if err := do(&items[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// EachLine makes a snapshot, decodes each session in it, and calls do with the session and its
// JSON.
func (s *Sessions) EachLine(ctx context.Context, do func(*Session, []byte) error) error {
	return pages(ctx, s, func(items []jsontext.Value) error {
		for _, item := range items {
			var session Session
			if err := json.Unmarshal(item, &session); err != nil {
				return err
			}
			if err := item.Compact(); err != nil {
				return err
			}
			if err := do(&session, item); err != nil {
				return err
			}
		}
		return nil
	})
}

func pages[T any](ctx context.Context, s *Sessions, do func([]T) error) error {
	var made struct {
		Body struct {
			Snapshot string `json:"snapshot"`
		} `json:"body"`
	}
	if err := s.get(ctx, "/api/audit/sessions/_snapshot", &made); err != nil {
		return err
	}
	next := "/api/audit/sessions?fields=*&sort=start_time&snapshot=" + made.Body.Snapshot
	for next != "" {
		var p page[T]
		if err := s.get(ctx, next, &p); err != nil {
			return err
		}
		if err := do(p.Items); err != nil {
			return err
		}
		next = p.Meta.Next
	}
	return nil
}

func (s *Sessions) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	req.AddCookie(&http.Cookie{Name: "session_id", Value: s.Session})
	resp, err := s.Client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("%s: %s: %s", path, resp.Status, text)
	}
	return json.UnmarshalRead(resp.Body, into)
}
