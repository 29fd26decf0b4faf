package sps_test

import (
	"bytes"
	"context"
	"encoding/json"
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

func ExampleFirmware_Test() {
	appliance, client, end := example()
	defer end()
	appliance.SetSlot(spstest.Slot{Key: "5", Version: "8.1.0", TestFailure: &spstest.TestFailure{ExitCode: 1, Summary: "HA check started\nHA check failed"}})

	for _, key := range []string{"2", "3", "5"} {
		report, err := client.Firmware.Test(context.Background(), key)
		var failed *sps.FirmwareTestFailedDetails
		switch {
		case err == nil:
			fmt.Printf("slot %s: %q\n", key, report.TestSummary)
		case errors.As(err, &failed):
			fmt.Printf("slot %s: exit code %d, %q\n", key, failed.ExitCode, failed.TestSummary)
		case errors.Is(err, sps.ResourceNotFound):
			fmt.Printf("slot %s: empty\n", key)
		default:
			log.Fatal(err)
		}
	}
	// Output:
	// slot 2: "HA check started\nHA check finished"
	// slot 3: empty
	// slot 5: exit code 1, "HA check started\nHA check failed"
}

func ExampleFirmwareSlots_List() {
	_, client, end := example()
	defer end()
	list, err := client.Firmware.Slots.List(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("running:", list.CurrentSlot, "empty:", list.EmptySlots)
	for _, slot := range list.Slots {
		if !slot.Body.Empty() {
			fmt.Println(slot.Key, slot.Body.Version)
		}
	}
	// Output:
	// running: 1 empty: 2
	// 1 7.4.0
	// 2 8.0.0
	// 4 6.0.10
}

func ExampleFirmwareSlots_Get() {
	_, client, end := example()
	defer end()
	ctx := context.Background()
	slot, err := client.Firmware.Slots.Get(ctx, "2")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(slot.Key, slot.Body.Version, slot.Body.Current)

	list, err := client.Firmware.Slots.List(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if running, ok := list.Slot(list.CurrentSlot); ok {
		fmt.Println(running.Key, running.Body.Version, running.Body.Current)
	}
	// Output:
	// 2 8.0.0 false
	// 1 7.4.0 true
}

func ExampleFirmwareSlots_Delete() {
	_, client, end := example()
	defer end()
	fmt.Println(client.Firmware.Slots.Delete(context.Background(), "4"))
	err := client.Firmware.Slots.Delete(context.Background(), "1") // slot 1 holds the running firmware
	fmt.Println(errors.Is(err, sps.ErrSlotInUse))
	// Output:
	// <nil>
	// true
}

func ExampleFirmware_Upload() {
	_, client, end := example()
	defer end()
	const size = 4 << 20
	image := spstest.Image("8.1.0", size) // to upload a file, use UploadFile
	slot, err := client.Firmware.Upload(context.Background(), image, size)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("slot", slot.Key, "holds", slot.Body.Version)
	// Output: slot 3 holds 8.1.0
}

func ExampleFirmware_UploadFile() {
	_, client, end := example()
	defer end()
	const size = 3 << 20
	name := imageFile("8.1.0", size) // use a file of your own here
	defer os.Remove(name)

	slot, err := client.Firmware.UploadFile(context.Background(), name, sps.WithProgress(func(p sps.Progress) {
		if p.Done == p.Total {
			fmt.Println("sent", p.Done>>20, "MiB")
		}
	}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("slot", slot.Key, "holds", slot.Body.Version)
	// Output:
	// sent 3 MiB
	// slot 3 holds 8.1.0
}

// imageFile writes an image that the simulated appliance accepts as firmware.
func imageFile(version string, size int64) string {
	file, err := os.CreateTemp("", "sps-*.iso")
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	if _, err := io.Copy(file, io.NewSectionReader(spstest.Image(version, size), 0, size)); err != nil {
		log.Fatal(err)
	}
	return file.Name()
}

func ExampleFirmwareFetches_Start() {
	appliance, client, end := example()
	defer end()
	ctx := context.Background()
	const url, sum = "https://images.example/sps.iso", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	appliance.ServeImage(url, "8.1.0", sum)

	key, err := client.Firmware.Fetch.Start(ctx, url, sum)
	if err != nil {
		log.Fatal(err)
	}
	fetch, err := client.Firmware.Fetch.Wait(ctx, key, sps.WithPollInterval(time.Millisecond))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(fetch.Status, client.Firmware.Fetch.Delete(ctx, key))
	// Output: finished <nil>
}

func ExampleFirmwareFetches_Cancel() {
	appliance, client, end := example()
	defer end()
	ctx := context.Background()
	const url = "https://images.example/sps.iso"
	appliance.ServeImage(url, "8.1.0", "")

	key, err := client.Firmware.Fetch.Start(ctx, url, strings.Repeat("0", 64))
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Firmware.Fetch.Cancel(ctx, key); err != nil {
		log.Fatal(err)
	}
	fetch, err := client.Firmware.Fetch.Get(ctx, key)
	if err != nil {
		log.Fatal(err)
	}
	// Compare the status with the constants, because appliances spell statuses in
	// different ways.
	fmt.Println(fetch.Status.Done(), fetch.Status == sps.JobCancelled)
	fmt.Println(errors.Is(client.Firmware.Fetch.Cancel(ctx, key), sps.ErrFetchDone))
	// Output:
	// true true
	// true
}

func ExampleFirmwareFetches_List() {
	_, client, end := example()
	defer end()
	ctx := context.Background()
	if _, err := client.Firmware.Fetch.Start(ctx, "https://images.example/sps.iso", strings.Repeat("0", 64)); err != nil {
		log.Fatal(err)
	}
	fetches, err := client.Firmware.Fetch.List(ctx) // the list includes those of other users
	if err != nil {
		log.Fatal(err)
	}
	for _, fetch := range fetches {
		_, err := client.Firmware.Fetch.Wait(ctx, fetch.Key, sps.WithPollInterval(time.Millisecond))
		var failed *sps.FirmwareFetchError
		if errors.As(err, &failed) {
			fmt.Println(failed.Fetch.Status, client.Firmware.Fetch.Delete(ctx, fetch.Key))
		}
	}
	// Output: failed <nil>
}

func ExampleFirmware_StartUpgrade() {
	_, client, end := example()
	defer end()
	ctx := context.Background()
	if _, err := client.Firmware.StartUpgrade(ctx, "2", sps.WithMessage("CHG-1234")); err != nil && !errors.Is(err, sps.ErrOutcomeUnknown) {
		log.Fatal(err)
	}
	looks := 0
	info, err := client.Firmware.WaitForVersion(ctx, "8.0.0",
		sps.WithPollInterval(time.Millisecond), sps.WithWaitLimit(time.Minute),
		sps.WithProgress(func(p sps.Progress) { looks++ })) // p.State describes the last poll
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.FirmwareVersion, "after several polls:", looks > 1)
	// Output: 8.0.0 after several polls: true
}

func ExampleWithRestartOf() {
	appliance, client, end := example()
	defer end()
	ctx := context.Background()
	appliance.SetSlot(spstest.Slot{Key: "3", Version: "7.4.0"}) // an image with the running version, to install it again
	before, err := client.Info(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.Firmware.StartUpgrade(ctx, "3"); err != nil {
		log.Fatal(err)
	}
	if _, err := client.Firmware.WaitForVersion(ctx, "7.4.0", sps.WithRestartOf(before), sps.WithPollInterval(time.Millisecond)); err != nil {
		log.Fatal(err)
	}
	fmt.Println(appliance.Restarts(), "restart")
	// Output: 1 restart
}

func ExampleFirmware_Upgrade() {
	_, client, end := example()
	defer end()
	report, err := client.Firmware.Upgrade(context.Background(), sps.FromSlot("2"),
		sps.WithMessage("CHG-1234"),
		sps.WithPollInterval(time.Millisecond), sps.WithWaitLimit(time.Minute))
	var stopped *sps.FirmwareUpgradeError
	if errors.As(err, &stopped) {
		log.Fatalf("stopped at %s: %v; %s", stopped.Step, stopped.Err, stopped.Left)
	}
	fmt.Println("from", report.From, "to", report.Info.FirmwareVersion)
	// Output: from 7.4.0 to 8.0.0
}

func ExampleFirmware_Upgrade_dryRun() {
	_, client, end := example()
	defer end()
	report, err := client.Firmware.Upgrade(context.Background(), sps.FromSlot("2"), sps.WithTestOnly())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("could go from", report.From, "to", report.To)
	// Output: could go from 7.4.0 to 8.0.0
}

func ExampleWithProgress_upgrade() {
	appliance, client, end := example()
	defer end()
	const url, sum = "https://images.example/sps.iso", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	appliance.ServeImage(url, "8.1.0", sum)

	var last sps.FirmwareUpgradeStep
	_, err := client.Firmware.Upgrade(context.Background(), sps.FromURL(url, sum), sps.WithExpectedVersion("8.1.0"),
		sps.WithPollInterval(time.Millisecond),
		sps.WithProgress(func(p sps.Progress) {
			if p.Step != last {
				fmt.Println(p.Step)
			}
			last = p.Step
		}))
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// prepare
	// fetch
	// test
	// upgrade
	// wait
	// verify
}

func ExampleWithExpectedVersion() {
	_, client, end := example()
	defer end()
	const size = 1 << 20
	image := spstest.Image("8.1.0", size) // or FromFile("sps-8.2.0.iso")
	_, err := client.Firmware.Upgrade(context.Background(), sps.FromImage(image, size), sps.WithExpectedVersion("8.2.0"))
	var stopped *sps.FirmwareUpgradeError
	if errors.As(err, &stopped) {
		fmt.Println("at step", stopped.Step, errors.Is(err, sps.ErrUnexpectedImage))
		fmt.Println(stopped.Left)
	}
	// Output:
	// at step upload true
	// no upgrade was started; the appliance ran 7.4.0; the image stays in slot 3
}

func ExampleFromFile() {
	_, client, end := example()
	defer end()
	name := imageFile("8.1.0", 1<<20) // use a file of your own here
	defer os.Remove(name)
	report, err := client.Firmware.Upgrade(context.Background(), sps.FromFile(name),
		sps.WithPollInterval(time.Millisecond))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("slot", report.SlotKey, "from", report.From, "to", report.Info.FirmwareVersion)
	// Output: slot 3 from 7.4.0 to 8.1.0
}

func ExampleCompareVersions() {
	order, ok := sps.CompareVersions("7.10.0", "7.9")
	fmt.Println(order, ok)
	// Output: 1 true
}

func ExampleClient_Info() {
	_, client, end := example()
	defer end()
	info, err := client.Info(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	if order, ok := sps.CompareVersions(info.FirmwareVersion, "7.0"); ok && order >= 0 {
		fmt.Println(info.FirmwareVersion, info.Version)
	}
	// Output: 7.4.0 7 F4
}

func ExampleClient_HealthStatus() {
	_, client, end := example()
	defer end()
	health, err := client.HealthStatus(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(health.RAIDStatus, health.Integrity["core"], health.TaintedFiles["core"])
	// Output: OK OK 0
}

func ExampleHealthStatus_Issues() {
	appliance, client, end := example()
	defer end()
	appliance.SetHealth(json.RawMessage(`{"firmware":{"tainted_files":{"core":"7"},"integrity":{"core":null}}}`))
	health, err := client.HealthStatus(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, issue := range health.Issues() {
		fmt.Println(issue)
	}
	// Output:
	// 7 modified files in core
	// the integrity of core cannot be read
}

func ExampleClient_UserInfo() {
	_, client, end := example()
	defer end()
	user, err := client.UserInfo(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(user.Name, user.LoginMethod.Name)
	// Output: admin local
}

func ExampleCluster_Status() {
	appliance := spstest.NewServer(nil, spstest.WithCluster())
	defer appliance.Close()
	ctx := context.Background()
	client, err := sps.Connect(ctx, appliance.Addr(), sps.UsernamePassword("admin", sps.NewSecretString("a")), sps.WithCABundle(appliance.CA()))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)
	cluster, err := client.Cluster.Status(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, node := range cluster.Nodes {
		fmt.Println(node.FQDN, node.SyncStatus, node.Key == cluster.Self)
	}
	// Output:
	// sps.example.com n/a true
	// managed-host.cluster pending false
}

func ExampleSetupStatus() {
	appliance := spstest.NewServer(nil)
	defer appliance.Close()
	setup, err := sps.SetupStatus(context.Background(), appliance.Addr(), sps.WithCABundle(appliance.CA()))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(setup.Status)
	// Output: completed
}

func ExampleClient_IntegratedProducts() {
	appliance, client, end := example()
	defer end()
	appliance.SetProducts(spstest.ProductsStarlingIntegrated(), spstest.StarlingUnavailable)
	products, err := client.IntegratedProducts(context.Background())
	if err != nil { // test it with errors.Is(err, sps.StarlingUnavailable)
		log.Fatal(err)
	}
	for _, product := range products.Products {
		fmt.Printf("%s: %t %q\n", product.Name, product.Activated, product.Link)
	}
	fmt.Println(products.Warned(sps.StarlingUnavailable))
	// Output:
	// Defender: true "https://2fa.cloud.oneidentity.com"
	// Connect: true "https://connect.cloud.oneidentity.com"
	// Governance: false ""
	// true
}

func ExampleSupportBundles_Start() {
	_, client, end := example()
	defer end()
	ctx := context.Background()
	key, err := client.Troubleshooting.SupportBundle.Start(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.Troubleshooting.SupportBundle.Wait(ctx, key, sps.WithPollInterval(time.Millisecond)); err != nil {
		log.Fatal(err)
	}
	var file bytes.Buffer // any io.Writer, such as an *os.File
	if _, err := client.Troubleshooting.SupportBundle.Download(ctx, key, &file); err != nil {
		log.Fatal(err)
	}
	fmt.Println(file.Len() > 0, client.Troubleshooting.SupportBundle.Delete(ctx, key))
	// Output: true <nil>
}

func ExampleSupportBundles_List() {
	_, client, end := example()
	defer end()
	ctx := context.Background()
	if _, err := client.Troubleshooting.SupportBundle.Start(ctx); err != nil {
		log.Fatal(err)
	}
	bundles, err := client.Troubleshooting.SupportBundle.List(ctx) // the list includes those of other users
	if err != nil {
		log.Fatal(err)
	}
	for _, bundle := range bundles {
		for !bundle.Status.Done() { // SupportBundles.Wait does the same, with a pause between the polls
			now, err := client.Troubleshooting.SupportBundle.Get(ctx, bundle.Key)
			if err != nil {
				log.Fatal(err)
			}
			bundle = *now
		}
		fmt.Println(bundle.Status == sps.JobFinished)
	}
	// Output: true
}

// recorded returns a client of a simulated appliance with three recorded sessions, and a
// function that closes both.
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

// This example exports sessions. An appliance has one snapshot, so the search waits while
// another program uses it. To avoid this, search without a snapshot.
func ExampleAuditSearch_All() {
	_, client, end := recorded()
	defer end()
	search := client.Audit.Sessions.Search(context.Background(), audit.Query{KeysOnly: true}, sps.WithSnapshotWait(10*time.Minute))
	for session, err := range search.All() {
		if errors.Is(err, sps.ErrSnapshotQuota) {
			log.Fatal("another program uses the snapshot: ", err)
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

// This example reads the events, alerts, channels and other records of one session.
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
	key := appliance.AddAuditSession(spstest.AuditSession{TrailSize: 64 << 10}) // a running session
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

// This example forwards sessions after they have ended, and saves a checkpoint after each
// response. With WithOnce, it ends when there are no more sessions.
func ExampleAuditSessions_Follow() {
	appliance, client, end := recorded()
	defer end()
	ctx := context.Background()
	var saved []byte // a real program stores this in a file
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
