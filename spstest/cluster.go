package spstest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
)

const clusterStatusPath = "cluster/status"

// clusterSample is the guide's sample of a cluster with two nodes.
var clusterSample = []json.RawMessage{
	json.RawMessage(`{"fqdn":"sps.example.com","health_status":null,"key":"b35c54da-1b0f-4f2c-8a52-6d3f6f0e9d11","sync_status":"n/a"}`),
	json.RawMessage(`{"configuration_sync":{"downloaded_xml_hash":"2853830f4aa0a90a63e75bab1b22e513",
		"issues":{"warnings":[{"message":"Connection 'simple_ssh_connection' and local service 'SSH' conflict on 10.30.42.42:22",
			"paths":["/api/configuration/ssh/connections/12345","/api/configuration/local_services/ssh"]}]},
		"last_checked":"2018-02-08T09:59:00Z","last_updated":"2018-02-08T09:59:00Z"},
		"fqdn":"managed-host.cluster",
		"health_status":{"disk":1.9,"load1":0.53,"load15":0.37,"load5":0.68,"memory":62.5,"sessions":{"rdp":4,"ssh":3},"swap":0,"total_sessions":7},
		"key":"46f97a58-0c0e-4a6b-9a57-2f6f0e1b7c22","last_seen":"2018-02-08T10:00:30Z","sync_status":"pending"}`),
}

// WithCluster makes the appliance the Central Management node of a cluster. nodes are the
// statuses of the nodes as JSON objects, the appliance itself first. Each object needs a
// member key; the appliance adds the links. Without arguments, the cluster is the guide's
// sample, whose second node is not synchronized.
func WithCluster(nodes ...json.RawMessage) Option {
	return func(a *Appliance) error {
		if len(nodes) == 0 {
			nodes = clusterSample
		}
		a.cluster = nil
		for _, raw := range nodes {
			var node struct {
				Key string `json:"key"`
			}
			if err := json.Unmarshal(raw, &node); err != nil {
				return fmt.Errorf("spstest: cluster node: %w", err)
			}
			if node.Key == "" {
				return fmt.Errorf("spstest: cluster node %s has no key", raw)
			}
			a.cluster = append(a.cluster, compact(string(raw)))
		}
		return nil
	}
}

// clusterNodes returns the nodes with their links.
func (a *Appliance) clusterNodes() []object {
	nodes := make([]object, len(a.cluster))
	for i, raw := range a.cluster {
		v, _ := decode(raw)
		nodes[i], _ = v.(object)
		key, _ := nodes[i]["key"].(string)
		nodes[i]["meta"] = object{
			"configuration": href("cluster/nodes/" + url.PathEscape(key)),
			"href":          href(clusterStatusPath + "/" + url.PathEscape(key)),
		}
	}
	return nodes
}

func (a *Appliance) getClusterStatus(x *exchange) answer {
	nodes := a.clusterNodes()
	if len(nodes) == 0 {
		return a.refuseHere(x, "cluster-status", "The appliance is not part of a cluster")
	}
	meta := x.meta()
	meta["self"] = nodes[0]["meta"].(object)["href"]
	return reply(http.StatusOK, object{"items": nodes, "meta": meta})
}

func (a *Appliance) getNodeStatus(x *exchange) answer {
	nodes := a.clusterNodes()
	if len(nodes) == 0 {
		return a.refuseHere(x, "cluster-status", "The appliance is not part of a cluster")
	}
	i := slices.IndexFunc(nodes, func(node object) bool { return node["key"] == x.last() })
	if i < 0 {
		return a.notFound(x)
	}
	nodes[i]["meta"].(object)["parent"] = href(clusterStatusPath)
	return reply(http.StatusOK, nodes[i])
}
