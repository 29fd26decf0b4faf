package command

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/cmd/sps/internal/text"
)

type infoData struct {
	FirmwareVersion  string   `json:"firmware_version"`
	Version          string   `json:"version"`
	BuildDate        string   `json:"build_date"`
	Hostname         string   `json:"hostname"`
	Domainname       string   `json:"domainname"`
	Nickname         string   `json:"nickname"`
	Roles            []string `json:"roles"`
	AnalyticsEnabled bool     `json:"analytics_enabled"`
	ConfigHash       string   `json:"config_hash"`
	SupportLink      string   `json:"support_link"`
	PluginSDKVersion string   `json:"plugin_sdk_version"`
}

func (a *app) infoCommand() *cobra.Command {
	return a.command(spec{
		use: "info", short: "Show names, version and roles",
		long: "Show the names of an appliance, the version of its firmware, and its roles in a cluster.",
		examples: []string{
			"sps --host sps1.example.com info",
			"sps --hosts hosts.txt -o jsonl info",
		},
		data: infoData{},
		run: func(ctx context.Context, j *job) (out.Report, error) {
			i, err := j.client.Info(ctx)
			if err != nil {
				return out.Report{}, err
			}
			roles := append([]string{}, i.Roles...)
			r := out.Report{
				Data: infoData{
					i.FirmwareVersion, i.Version, stamp(i.BuildDate), i.Hostname, i.Domainname, i.Nickname,
					roles, i.AnalyticsEnabled, i.ConfigHash, i.SupportLink, i.PluginSDKVersion,
				},
				Fields: [][2]string{
					{"firmware", text.OrDash(i.FirmwareVersion)}, {"version", text.OrDash(i.Version)}, {"built", text.OrDash(stamp(i.BuildDate))},
					{"host name", text.OrDash(i.Hostname)}, {"domain", text.OrDash(i.Domainname)}, {"nickname", text.OrDash(i.Nickname)},
					{"roles", text.OrDash(strings.Join(roles, ", "))}, {"configuration", text.OrDash(i.ConfigHash)},
				},
			}
			if j.several { // the row of an appliance must fit into a terminal
				r.Fields = [][2]string{r.Fields[0], r.Fields[3], r.Fields[6]}
			}
			return r, nil
		},
	})
}

type healthData struct {
	Issues        []string           `json:"issues"`
	CPU           *float64           `json:"cpu"`
	Memory        *float64           `json:"memory"`
	Disk          *float64           `json:"disk"`
	Swap          *float64           `json:"swap"`
	Load1         *float64           `json:"load1"`
	Load5         *float64           `json:"load5"`
	Load15        *float64           `json:"load15"`
	RAID          string             `json:"raid"`
	Integrity     map[string]string  `json:"integrity"`
	TaintedFiles  map[string]int     `json:"tainted_files"`
	Sessions      map[string]int     `json:"sessions"`
	SessionsTotal *int               `json:"sessions_total"`
	Queues        map[string]float64 `json:"pipeline_queues"`
}

func (a *app) healthCommand() *cobra.Command {
	return a.command(spec{
		use: "health", short: "Show load, disk, RAID and integrity",
		long: `Show the health of an appliance: its load, its disk, its RAID and the integrity of its
firmware. cpu, memory, disk and swap are in percent. The status is 1 if the appliance has
an issue. A full disk is not an issue for this command: check the value of disk yourself.`,
		examples: []string{
			"sps --host sps1.example.com health",
			"sps --hosts hosts.txt -o junit health",
		},
		data: healthData{},
		run: func(ctx context.Context, j *job) (out.Report, error) {
			h, err := j.client.HealthStatus(ctx)
			if err != nil {
				return out.Report{}, err
			}
			issues := append([]string{}, h.Issues()...)
			for i := range issues {
				issues[i] = text.Line(issues[i])
			}
			r := out.Report{
				Data: healthData{
					issues, h.CPU, h.Memory, h.Disk, h.Swap, h.Load1, h.Load5, h.Load15, h.RAIDStatus, h.Integrity,
					h.TaintedFiles, h.Sessions, h.SessionsTotal, h.PipelineQueues,
				},
				No: len(issues) > 0,
				Fields: [][2]string{
					{"cpu", percent(h.CPU)}, {"memory", percent(h.Memory)}, {"disk", percent(h.Disk)}, {"swap", percent(h.Swap)},
					{"raid", text.OrDash(h.RAIDStatus)}, {"integrity", text.OrDash(pairs(h.Integrity))},
					{"sessions", number(h.SessionsTotal)}, {"issues", "none"},
				},
			}
			c := out.Case{Name: "health", Status: out.Passed}
			if r.No {
				r.Fields[len(r.Fields)-1][1] = strings.Join(issues, "; ")
				c.Status, c.Type, c.Message, c.Text = out.Failure, "Health", strings.Join(issues, "; "), strings.Join(issues, "\n")
			}
			r.Cases = []out.Case{c}
			return r, nil
		},
	})
}

func percent(value *float64) string {
	if value == nil {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", *value)
}

func number(value *int) string {
	if value == nil || *value < 0 {
		return "-"
	}
	return fmt.Sprint(*value)
}

func pairs[V any](values map[string]V) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		words = append(words, fmt.Sprintf("%s %v", name, values[name]))
	}
	return strings.Join(words, ", ")
}

type clusterData struct {
	Nodes []nodeData `json:"nodes"`
}

type nodeData struct {
	Key        string   `json:"key"`
	FQDN       string   `json:"fqdn"`
	Self       bool     `json:"self"`
	LastSeen   string   `json:"last_seen"`
	SyncStatus string   `json:"sync_status"`
	Warnings   []string `json:"warnings"`
}

func (a *app) clusterCommand() *cobra.Command {
	return a.command(spec{
		use: "cluster", short: "Show the nodes of a cluster",
		long: `Show the nodes of a cluster as its Central Management node reports them. The status is 1
if a node has a warning. If the appliance is not the Central Management node of a cluster,
the command fails.`,
		examples: []string{
			"sps --host central.example.com cluster",
			"sps --host central.example.com -o json cluster",
		},
		columns: []string{"NODE", "NAME", "LAST SEEN", "SYNCHRONIZED", "WARNINGS"},
		data:    clusterData{},
		run: func(ctx context.Context, j *job) (out.Report, error) {
			s, err := j.client.Cluster.Status(ctx)
			if err != nil {
				return out.Report{}, err
			}
			r := out.Report{Columns: []string{"NODE", "NAME", "LAST SEEN", "SYNCHRONIZED", "WARNINGS"}}
			nodes := []nodeData{}
			for _, n := range s.Nodes {
				d := nodeData{n.Key, n.FQDN, n.Key == s.Self, stamp(n.LastSeen), n.SyncStatus, []string{}}
				c := out.Case{Name: "node " + text.Line(n.Key), Status: out.Passed}
				for _, w := range n.Warnings {
					d.Warnings = append(d.Warnings, w.Message)
				}
				if len(d.Warnings) > 0 {
					r.No = true
					c.Status, c.Type, c.Message = out.Failure, "ClusterWarning", text.Line(strings.Join(d.Warnings, "; "))
				}
				nodes = append(nodes, d)
				r.Cases = append(r.Cases, c)
				r.Rows = append(r.Rows, out.Row{Cells: []string{
					n.Key, text.OrDash(n.FQDN), text.OrDash(stamp(n.LastSeen)), text.OrDash(n.SyncStatus), text.OrDash(strings.Join(d.Warnings, "; ")),
				}})
			}
			r.Data = clusterData{nodes}
			return r, nil
		},
	})
}

func (a *app) whoamiCommand() *cobra.Command {
	return a.command(spec{
		use: "whoami", short: "Show the logged-in user",
		long: `Show the logged-in user as the appliance reports it. The command logs in, so it also tests
the connection and the credential.`,
		examples: []string{
			"sps --host sps1.example.com whoami",
			"sps --host sps1.example.com --login-method local -o yaml whoami",
		},
		data: whoamiData{},
		run: func(ctx context.Context, j *job) (out.Report, error) {
			u, err := j.client.UserInfo(ctx)
			if err != nil {
				return out.Report{}, err
			}
			return whoami(j, u), nil
		},
	})
}

type whoamiData struct {
	Name        string `json:"name"`
	LoginMethod string `json:"login_method"`
	Host        string `json:"host"`
}

func whoami(j *job, u *sps.UserInfo) out.Report {
	return out.Report{
		Data:   whoamiData{u.Name, u.LoginMethod.Name, j.client.Host()},
		Fields: [][2]string{{"user", text.OrDash(u.Name)}, {"login method", text.OrDash(u.LoginMethod.Name)}, {"host", j.client.Host()}},
	}
}

// stamp returns a time in UTC in the format of RFC 3339, or "" for the zero time.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
