package spstest

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// healthy is the guide's sample of a health status, with the values of a healthy
// appliance. The sample is cut off after system_details.disk.total, so the members after
// it are missing here.
const healthy = `{
	"cpu":3.0,"disk":12.0,
	"firmware":{"integrity":{"boot":"OK","core":"OK"},"tainted_files":{"boot":0,"core":0,"ha_other":0}},
	"indexer":{"indexer_status":[{"capabilities":["index"],"idle_workers_count":1,"indexer_jobs":0,"ip":"127.0.0.1",
			"screenshot_jobs":0,"video_jobs":0,"workers_count":1}],
		"processing_tasks":[],"remaining_tasks":[],"worker_warnings":[]},
	"load1":0.5,"load15":0.4,"load5":0.4,"memory":31.0,
	"pipeline_queues":{"indexer_events":0.0,"session_events":0.0},
	"raid":{"disks":{"252:0":{"status":"OK"},"252:1":{"status":"OK"}},"status":{"detailed_status":"OK","operation_progress":0,"status":"OK"}},
	"sessions":{"http":0,"ica":0,"mssql":0,"rdp":4,"ssh":3,"telnet":0,"vnc":0},"sessions_total":7,
	"swap":0.0,
	"system_details":{"cpu":{"guest":0.0,"guest_nice":0.0,"idle":97.0,"iowait":0.0,"irq":0.0,"nice":0.0,"softirq":0.0,"steal":0.0,"system":2.0,"user":1.0},
		"disk":{"free":176000000000,"percent":12.0,"total":200000000000}}}`

// SetHealth changes members of the health status of a healthy appliance. For example:
//
//	{"firmware":{"tainted_files":{"core":2}},"disk":96.5}
//
// Objects are merged; other values are replaced. nil makes the appliance healthy again.
// SetHealth panics if the JSON is not an object.
func (a *Appliance) SetHealth(health json.RawMessage) {
	merged, err := layHealth(health)
	if err != nil {
		panic(fmt.Sprintf("spstest: SetHealth: %v", err))
	}
	a.enter()
	defer a.mu.Unlock()
	a.health = merged
}

// layHealth merges members into the health status of a healthy appliance. It returns nil
// if there are no members.
func layHealth(health json.RawMessage) (json.RawMessage, error) {
	if health == nil {
		return nil, nil
	}
	v, err := decode(health)
	if err != nil {
		return nil, err
	}
	over, ok := v.(object)
	if !ok {
		return nil, fmt.Errorf("%s is not an object", health)
	}
	base, err := decode([]byte(healthy))
	if err != nil {
		return nil, err
	}
	return encode(lay(base, over)), nil
}

func lay(under, over any) any {
	base, isObject := under.(object)
	members, stays := over.(object)
	if !isObject || !stays {
		return over
	}
	for name, v := range members {
		base[name] = lay(base[name], v)
	}
	return base
}

func (a *Appliance) getHealth(x *exchange) answer {
	health := a.health
	if health == nil {
		health = json.RawMessage(healthy)
	}
	return reply(http.StatusOK, object{"health_status": health, "meta": x.meta()})
}
