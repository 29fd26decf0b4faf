package audit

import (
	"bytes"
	"encoding/json"

	"github.com/go-sps/sps/internal/wire"
)

// UnmarshalJSON decodes an object with key, meta and body. The response to a search has a
// list of such objects, and the response to a read of one session is such an object. The
// body may be missing if no field was requested. The result does not refer to the memory
// of data.
func (s *Session) UnmarshalJSON(data []byte) error { return decode(s, data) }

// Unknown returns the members that have no field: members of the body that this package
// does not know, and members of an unexpected type. The names in the map are dotted, such
// as "recording.new_member". For an element of a list, the name has its index, such as
// "vault.0.new_member". The map is empty if there are no such members, or if the session
// was not decoded. Unknown decodes Raw again.
func (s *Session) Unknown() map[string]json.RawMessage { return unknown(s) }

func (s *Session) raw() *json.RawMessage { return &s.Raw }

func (s *Session) scratch(d *decoder) *Session {
	d.spare.used = true
	return &d.spare.session
}

const (
	keyName  = "key"
	bodyName = "body"
)

func (s *Session) read(d *decoder, data []byte) error {
	if !d.Enter(wire.Object) {
		return wire.Unfit("a session is not a JSON object")
	}
	for name, ok := d.Member(); ok; name, ok = d.Member() {
		switch string(name) {
		case keyName:
			if !d.key(&s.Key) {
				return wire.Unfit("the key of a session is not a string")
			}
		case bodyName:
			if kind := d.Kind(); kind != wire.Object && kind != wire.Null {
				return wire.Unfit("the body of a session is not a JSON object")
			}
			d.body(s)
		default:
			d.Value()
		}
	}
	if err := d.Close(); err != nil {
		return err
	}
	d.settle()
	if d.dotted {
		return s.readFlat(d, data)
	}
	return nil
}

// readFlat decodes a session again after a dotted member name was found.
func (s *Session) readFlat(d *decoder, data []byte) error {
	members, err := wire.Members(data)
	if err != nil {
		return err
	}
	*s = Session{Key: s.Key}
	clear(d.unknown)
	d.few, d.path = nil, d.path[:0]
	d.Reset(nest(wire.Find(members, bodyName)))
	d.body(s)
	d.settle()
	return d.Close()
}

// key reads a key, which may be a string or a number.
func (d *decoder) key(into *string) bool {
	if d.Kind() == wire.Null {
		*into = ""
		d.Value()
		return true
	}
	return d.textInto(into, false)
}

// groups holds the parts that most sessions have, so that they need one allocation.
type groups struct {
	client, serverLocal, target Address
	server                      Server
	user                        User
	recording                   Recording
	analytics                   Analytics
	score                       Score
	details                     ScoreDetails
	scores                      [7]AlgorithmScore
	texts                       [6]string
}

// made returns g. If g is nil, it allocates the groups of a session first.
func (d *decoder) made(g *groups) *groups {
	if g != nil {
		return g
	}
	g = &d.spare.groups
	if !d.spare.used {
		g = new(groups)
	}
	d.few = g.texts[:]
	return g
}

func (d *decoder) body(s *Session) {
	if !d.enter() {
		return
	}
	var g *groups
	for name, ok := d.next(); ok; name, ok = d.next() {
		switch string(name) {
		case "active":
			d.bool(&s.Active)
		case "hidden":
			d.bool(&s.Hidden)
		case "phantom":
			d.bool(&s.Phantom)
		case "origin":
			d.text(&s.Origin)
		case "protocol":
			d.text(&s.Protocol)
		case "verdict":
			d.text(&s.Verdict)
		case "node_id":
			d.text(&s.NodeID)
		case "creation_time":
			d.time(&s.CreationTime)
		case "start_time":
			d.time(&s.StartTime)
		case "end_time":
			d.time(&s.EndTime)
		case "duration":
			d.seconds(&s.Duration)
		case "trail_download_link":
			d.ownText(&s.TrailDownloadLink)
		case "client":
			g = d.made(g)
			s.Client = d.address(&g.client)
		case "server":
			g = d.made(g)
			s.Server = d.server(&g.server)
		case "user":
			g = d.made(g)
			s.User = d.user(&g.user)
		case "recording":
			g = d.made(g)
			s.Recording = d.recording(g)
		case "analytics":
			g = d.made(g)
			s.Analytics = d.analytics(g)
		case "log":
			s.Log = d.log()
		case "vault":
			d.vaults(&s.Vault)
		case "alerts":
			s.Alerts = d.link()
		case "channels":
			s.Channels = d.link()
		case "events":
			s.Events = d.link()
		case "indexing":
			s.Indexing = d.link()
		default:
			d.dotted = d.dotted || bytes.IndexByte(name, '.') >= 0 && isDotted(string(name))
			d.other()
		}
	}
}

func (d *decoder) address(a *Address) *Address {
	if !d.enter() {
		return nil
	}
	*a = Address{}
	for name, ok := d.next(); ok; name, ok = d.next() {
		switch string(name) {
		case "ip":
			d.text(&a.IP)
		case "name":
			d.text(&a.Name)
		case "port":
			d.port(&a.Port)
		default:
			d.other()
		}
	}
	return a
}

func (d *decoder) server(s *Server) *Server {
	if !d.enter() {
		return nil
	}
	*s = Server{}
	for name, ok := d.next(); ok; name, ok = d.next() {
		switch string(name) {
		case "id":
			d.text(&s.ID)
		case "ip":
			d.text(&s.IP)
		case "name":
			d.text(&s.Name)
		case "address":
			d.text(&s.Address)
		case "port":
			d.port(&s.Port)
		default:
			d.other()
		}
	}
	return s
}

func (d *decoder) user(u *User) *User {
	if !d.enter() {
		return nil
	}
	*u = User{}
	for name, ok := d.next(); ok; name, ok = d.next() {
		switch string(name) {
		case "id":
			d.text(&u.ID)
		case "name":
			d.text(&u.Name)
		case "name_domain":
			d.text(&u.NameDomain)
		case "gateway_username":
			d.text(&u.GatewayUsername)
		case "gateway_username_domain":
			d.text(&u.GatewayUsernameDomain)
		case "server_username":
			d.texts(&u.ServerUsername)
		case "server_username_domain":
			d.texts(&u.ServerUsernameDomain)
		default:
			d.other()
		}
	}
	return u
}

func (d *decoder) recording(g *groups) *Recording {
	if !d.enter() {
		return nil
	}
	g.recording = Recording{}
	r := &g.recording
	for name, ok := d.next(); ok; name, ok = d.next() {
		switch string(name) {
		case "session_id":
			d.ownText(&r.SessionID)
		case "connection_policy":
			d.text(&r.ConnectionPolicy)
		case "connection_policy_id":
			d.text(&r.ConnectionPolicyID)
		case "channel_policy":
			d.text(&r.ChannelPolicy)
		case "auth_method":
			d.text(&r.AuthMethod)
		case "verdict":
			d.text(&r.Verdict)
		case "deny_reason":
			d.text(&r.DenyReason)
		case "network_id":
			d.text(&r.NetworkID)
		case "index_status":
			d.text(&r.IndexStatus)
		case "content_reference_id":
			d.integer(&r.ContentReferenceID)
		case "command_extracted":
			d.bool(&r.CommandExtracted)
		case "window_title_extracted":
			d.bool(&r.WindowTitleExtracted)
		case "archived":
			d.bool(&r.Archived)
		case "archive":
			r.Archive = d.archive()
		case "audit_trail":
			r.AuditTrail = d.auditTrail()
		case "server_local":
			r.ServerLocal = d.address(&g.serverLocal)
		case "target":
			r.Target = d.address(&g.target)
		default:
			d.other()
		}
	}
	return r
}

func (d *decoder) archive() *Archive {
	if !d.enter() {
		return nil
	}
	a := new(Archive)
	for name, ok := d.next(); ok; name, ok = d.next() {
		switch string(name) {
		case "date":
			d.time(&a.Date)
		case "path":
			d.ownText(&a.Path)
		case "policy":
			d.text(&a.Policy)
		case "server":
			d.text(&a.Server)
		default:
			d.other()
		}
	}
	return a
}

func (d *decoder) auditTrail() *AuditTrail {
	if !d.enter() {
		return nil
	}
	a := new(AuditTrail)
	for name, ok := d.next(); ok; name, ok = d.next() {
		switch string(name) {
		case "archive":
			d.raw(&a.Archive)
		case "download":
			a.Download = d.link()
		default:
			d.other()
		}
	}
	return a
}

func (d *decoder) link() *Link {
	if !d.enter() {
		return nil
	}
	l := new(Link)
	for name, ok := d.next(); ok; name, ok = d.next() {
		switch string(name) {
		case "href":
			d.ownText(&l.Href)
		default:
			d.other()
		}
	}
	return l
}

func (d *decoder) analytics(g *groups) *Analytics {
	if !d.enter() {
		return nil
	}
	g.analytics = Analytics{}
	a := &g.analytics
	for name, ok := d.next(); ok; name, ok = d.next() {
		switch string(name) {
		case "interesting_events":
			d.texts(&a.InterestingEvents)
		case "score":
			a.Score = d.score(g)
		case "scripted":
			d.bool(&a.Scripted)
		case "scripted_results":
			d.raw(&a.ScriptedResults)
		case "similar_sessions":
			d.raws(&a.SimilarSessions)
		case "tags":
			d.raws(&a.Tags)
		case "bucketed_duration":
			d.text(&a.BucketedDuration)
		case "bucketed_starting_hour":
			d.text(&a.BucketedStartingHour)
		default:
			d.other()
		}
	}
	return a
}

func (d *decoder) score(g *groups) *Score {
	if !d.enter() {
		return nil
	}
	g.score = Score{}
	s := &g.score
	for name, ok := d.next(); ok; name, ok = d.next() {
		switch string(name) {
		case "aggregated":
			d.float(&s.Aggregated)
		case "time":
			d.time(&s.Time)
		case "details":
			s.Details = d.scoreDetails(g)
		default:
			d.other()
		}
	}
	return s
}

func (d *decoder) scoreDetails(g *groups) *ScoreDetails {
	if !d.enter() {
		return nil
	}
	g.details = ScoreDetails{}
	s := &g.details
	for name, ok := d.next(); ok; name, ok = d.next() {
		switch string(name) {
		case "command":
			s.Command = d.algorithmScore(&g.scores[0])
		case "fis":
			s.FIS = d.algorithmScore(&g.scores[1])
		case "hostlogin":
			s.HostLogin = d.algorithmScore(&g.scores[2])
		case "logintime":
			s.LoginTime = d.algorithmScore(&g.scores[3])
		case "keystroke":
			s.Keystroke = d.algorithmScore(&g.scores[4])
		case "mouse":
			s.Mouse = d.algorithmScore(&g.scores[5])
		case "windowtitle":
			s.WindowTitle = d.algorithmScore(&g.scores[6])
		default:
			d.other()
		}
	}
	return s
}

func (d *decoder) algorithmScore(s *AlgorithmScore) *AlgorithmScore {
	if !d.enter() {
		return nil
	}
	*s = AlgorithmScore{}
	for name, ok := d.next(); ok; name, ok = d.next() {
		switch string(name) {
		case "score":
			d.float(&s.Score)
		default:
			d.other()
		}
	}
	return s
}

func (d *decoder) log() *Log {
	if !d.enter() {
		return nil
	}
	l := new(Log)
	for name, ok := d.next(); ok; name, ok = d.next() {
		switch string(name) {
		case "adapter_name":
			d.text(&l.AdapterName)
		case "auth_method":
			d.text(&l.AuthMethod)
		case "syslog_time":
			d.time(&l.SyslogTime)
		default:
			d.other()
		}
	}
	return l
}

// vaults reads a list of access requests, or a single access request.
func (d *decoder) vaults(into *[]Vault) {
	switch d.Kind() {
	case wire.Array:
		list := make([]Vault, 0, 1)
		d.each(func() {
			if d.enter() {
				list = append(list, Vault{})
				d.vault(&list[len(list)-1])
				d.settle() // appending to the list may move its elements, so the strings that textInto has not stored yet must be stored first
			}
		})
		*into = list
	default:
		if d.enter() {
			*into = make([]Vault, 1)
			d.vault(&(*into)[0])
		}
	}
}

func (d *decoder) vault(v *Vault) {
	for name, ok := d.next(); ok; name, ok = d.next() {
		switch string(name) {
		case "access_request_type":
			d.text(&v.AccessRequestType)
		case "account_id":
			d.integer(&v.AccountID)
		case "account_name":
			d.text(&v.AccountName)
		case "appliance_id":
			d.text(&v.ApplianceID)
		case "appliance_name":
			d.text(&v.ApplianceName)
		case "asset_partition_id":
			d.integer(&v.AssetPartitionID)
		case "asset_partition_name":
			d.text(&v.AssetPartitionName)
		case "auto_approved":
			d.time(&v.AutoApproved)
		case "available":
			d.time(&v.Available)
		case "broker_id":
			d.integer(&v.BrokerID)
		case "created":
			v.Created = d.vaultEvent()
		case "expired":
			d.time(&v.Expired)
		case "is_emergency":
			d.bool(&v.IsEmergency)
		case "offline_workflow":
			d.bool(&v.OfflineWorkflow)
		case "system_id":
			d.integer(&v.SystemID)
		case "system_name":
			d.text(&v.SystemName)
		default:
			d.other()
		}
	}
}

func (d *decoder) vaultEvent() *VaultEvent {
	if !d.enter() {
		return nil
	}
	e := new(VaultEvent)
	for name, ok := d.next(); ok; name, ok = d.next() {
		switch string(name) {
		case "timestamp":
			d.time(&e.Timestamp)
		case "user":
			e.User = d.vaultUser()
		default:
			d.other()
		}
	}
	return e
}

func (d *decoder) vaultUser() *VaultUser {
	if !d.enter() {
		return nil
	}
	u := new(VaultUser)
	for name, ok := d.next(); ok; name, ok = d.next() {
		switch string(name) {
		case "client_ip_address":
			d.text(&u.ClientIPAddress)
		case "user_display_name":
			d.text(&u.UserDisplayName)
		case "user_name":
			d.text(&u.UserName)
		case "user_id":
			d.integer(&u.UserID)
		default:
			d.other()
		}
	}
	return u
}
