package sps_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/audit"
	"github.com/go-sps/sps/spstest"
)

// recorded returns a client of a simulated appliance with three recorded sessions, and how
// to end both.
func recorded() (*spstest.Appliance, *sps.Client, func()) {
	appliance, client, end := example()
	for i, user := range []string{"yoda", "leia", "luke"} {
		start := time.Date(2024, 3, 1, 10+i, 0, 0, 0, time.UTC)
		appliance.AddAuditSession(spstest.AuditSession{
			Key: fmt.Sprint("svc-", i+1), Protocol: audit.ProtocolSSH, User: user, Verdict: audit.VerdictAccept,
			Start: start, End: start.Add(30 * time.Minute), TrailSize: 1 << 20,
		})
	}
	return appliance, client, end
}

func ExampleAuditSessions_Search() {
	_, client, end := recorded()
	defer end()
	search := client.Audit.Sessions.Search(context.Background(), audit.Query{
		Filter: audit.And(audit.Term(audit.FieldProtocol, audit.ProtocolSSH), audit.Not(audit.Term(audit.FieldUserName, "yoda"))),
		Start:  time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC),
	})
	for session, err := range search.All() {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(session.Key, session.User.Name, session.Duration)
	}
	// Output:
	// svc-2 leia 30m0s
	// svc-3 luke 30m0s
}

// A program that exports may have to wait until another one is done with the snapshot of
// the appliance, or do without.
func ExampleAuditSearch_All() {
	_, client, end := recorded()
	defer end()
	search := client.Audit.Sessions.Search(context.Background(), audit.Query{KeysOnly: true}, sps.WithSnapshotWait(10*time.Minute))
	for session, err := range search.All() {
		if errors.Is(err, sps.ErrSnapshotQuota) {
			log.Fatal("another program exports: ", err)
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(session.Key, search.Snapshot())
		break // leaving the loop ends the search
	}
	search = client.Audit.Sessions.Search(context.Background(), audit.Query{KeysOnly: true}, sps.WithoutSnapshot())
	for session, err := range search.All() {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(session.Key, search.Snapshot())
	}
	// Output:
	// svc-1 true
	// svc-1 false
	// svc-2 false
	// svc-3 false
}

func ExampleAuditSearch_Count() {
	_, client, end := recorded()
	defer end()
	search := client.Audit.Sessions.Search(context.Background(), audit.Query{Filter: audit.Wildcard(audit.FieldUserName, "l*")})
	count, err := search.Count()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(count)
	// Output: 2
}

func ExampleAuditSearch_WriteCSV() {
	_, client, end := recorded()
	defer end()
	search := client.Audit.Sessions.Search(context.Background(), audit.Query{
		Fields: []string{audit.FieldStartTime, audit.FieldUserName, audit.FieldVerdict},
		Sort:   audit.Sort{Field: audit.FieldStartTime, Descending: true},
	})
	if _, err := search.WriteCSV(os.Stdout); err != nil {
		log.Fatal(err)
	}
	// Output:
	// key,start_time,user.name,verdict
	// svc-3,2024-03-01T12:00:00.000Z,luke,ACCEPT
	// svc-2,2024-03-01T11:00:00.000Z,leia,ACCEPT
	// svc-1,2024-03-01T10:00:00.000Z,yoda,ACCEPT
}

func ExampleAuditSessions_Get() {
	_, client, end := recorded()
	defer end()
	session, err := client.Audit.Sessions.Get(context.Background(), "svc-1")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(session.User.Name, session.StartTime, session.Verdict)
	_, err = client.Audit.Sessions.Get(context.Background(), "svc-99")
	fmt.Println(errors.Is(err, sps.ResourceNotFound))
	// Output:
	// yoda 2024-03-01 10:00:00 +0000 UTC ACCEPT
	// true
}

func ExampleAuditSessions_Count() {
	_, client, end := recorded()
	defer end()
	count, err := client.Audit.Sessions.Count(context.Background(), audit.Query{Filter: audit.Term(audit.FieldVerdict, audit.VerdictAccept)})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(count)
	// Output: 3
}

func ExampleAuditSessions_Stats() {
	_, client, end := recorded()
	defer end()
	stats, err := client.Audit.Sessions.Stats(context.Background(), audit.StatsQuery{Field: audit.FieldUserName, SubField: audit.FieldProtocol, Size: 2})
	if err != nil {
		log.Fatal(err)
	}
	for _, user := range stats.All {
		fmt.Println(user.Value, user.Count, user.Below[0].Value)
	}
	// Output:
	// leia 1 SSH
	// luke 1 SSH
}

func ExampleAuditSessions_Histogram() {
	_, client, end := recorded()
	defer end()
	histogram, err := client.Audit.Sessions.Histogram(context.Background(), audit.HistogramQuery{Field: audit.FieldStartTime, BinSize: audit.BinHour})
	if err != nil {
		log.Fatal(err)
	}
	for _, hour := range histogram.All {
		fmt.Println(hour.Value, hour.Count)
	}
	// Output:
	// 2024-03-01T10:00:00.000Z 1
	// 2024-03-01T11:00:00.000Z 1
	// 2024-03-01T12:00:00.000Z 1
}

// Everything that belongs to one session.
func ExampleAuditSessions_Events() {
	appliance, client, end := example()
	defer end()
	ctx := context.Background()
	start := time.Date(2024, 3, 1, 10, 0, 0, 0, time.UTC)
	key := appliance.AddAuditSession(spstest.AuditSession{Protocol: audit.ProtocolSSH, Verdict: audit.VerdictAccept, Start: start, End: start.Add(time.Hour)})
	sessions := client.Audit.Sessions
	for event, err := range sessions.Events(ctx, key) {
		if err != nil {
			log.Fatal(err)
		}
		_ = event.Action // "ls -l"
	}
	for alert, err := range sessions.Alerts(ctx, key) {
		if err != nil {
			log.Fatal(err)
		}
		_ = alert.MatchedContent
	}
	for channel, err := range sessions.Channels(ctx, key) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(channel.Verdict)
		break
	}
	for indexing, err := range sessions.Indexing(ctx, key) {
		if err != nil {
			log.Fatal(err)
		}
		_ = indexing.Status // "COMPLETED"
	}
	for download, err := range sessions.Downloads(ctx, key) {
		if err != nil {
			log.Fatal(err)
		}
		_ = download.Username
	}
	// Output: accept
}

func ExampleAuditSessions_Content() {
	appliance, client, end := recorded()
	defer end()
	start := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	for range 20 {
		appliance.AddAuditSession(spstest.AuditSession{Protocol: audit.ProtocolSSH, Verdict: audit.VerdictAccept, Start: start, End: start.Add(time.Hour)})
	}
	lines := 0
	for session := range appliance.AuditSessions() {
		for event, err := range client.Audit.Sessions.Content(context.Background(), session.Key, "ls OR df") {
			if err != nil {
				log.Fatal(err)
			}
			if strings.Contains(event.Content, "ls") || strings.Contains(event.Content, "df") {
				lines++
			}
		}
	}
	fmt.Println(lines > 0)
	// Output: true
}

func ExampleAuditSessions_DownloadTrail() {
	_, client, end := recorded()
	defer end()
	file, err := os.CreateTemp("", "*.zat")
	if err != nil {
		log.Fatal(err)
	}
	defer os.Remove(file.Name())
	defer file.Close()
	size, err := client.Audit.Sessions.DownloadTrail(context.Background(), "svc-1", file,
		sps.WithProgress(func(p sps.Progress) { fmt.Println(p.Percent, "%") }))
	if errors.Is(err, sps.ErrNoRecording) {
		fmt.Println("nothing was recorded")
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(size)
	// Output:
	// 100 %
	// 1048576
}

func ExampleWithTrailFormat() {
	appliance, client, end := example()
	defer end()
	key := appliance.AddAuditSession(spstest.AuditSession{TrailSize: 64 << 10}) // which goes on
	size, err := client.Audit.Sessions.DownloadTrail(context.Background(), key, io.Discard, sps.WithTrailFormat(sps.TrailSRS))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(size)
	// Output: 65536
}

func ExampleAuditSessions_WebAddress() {
	client, err := sps.Connect(context.Background(), "sps1.example.com", sps.ExistingSession(sps.NewSecretString("id")))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(context.Background())
	fmt.Println(client.Audit.Sessions.WebAddress("svc-1"))
	// Output: https://sps1.example.com/portal/#/audit/sessions/svc-1
}

// A daemon hands sessions on as they end, and saves its checkpoint after each answer. This
// one ends when there are no more.
func ExampleAuditSessions_Follow() {
	appliance, client, end := recorded()
	defer end()
	ctx := context.Background()
	var saved []byte // a file, where it is a real program
	run := func() {
		follow, err := client.Audit.Sessions.Follow(ctx, audit.Query{},
			sps.WithCheckpoint(saved), sps.WithSince(time.Date(2024, 3, 1, 11, 0, 0, 0, time.UTC)), sps.WithWindow(time.Hour),
			sps.WithPollInterval(30*time.Second), sps.WithOnce(), sps.WithErrorFunc(func(err error) { log.Print(err) }))
		if err != nil {
			log.Fatal(err)
		}
		for session, err := range follow.All() {
			if err != nil {
				log.Fatal(err)
			}
			fmt.Println(session.Key, session.EndTime.Format(time.TimeOnly))
			if !follow.EndOfPage() {
				continue
			}
			if saved, err = follow.Checkpoint(); err != nil {
				log.Fatal(err)
			}
		}
	}
	run()
	appliance.AddAuditSession(spstest.AuditSession{Key: "svc-4", Start: time.Date(2024, 3, 1, 9, 0, 0, 0, time.UTC), End: time.Date(2024, 3, 1, 12, 15, 0, 0, time.UTC)})
	run()
	// Output:
	// svc-2 11:30:00
	// svc-3 12:30:00
	// svc-4 12:15:00
}
