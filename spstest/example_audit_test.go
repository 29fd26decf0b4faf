package spstest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

// found returns the keys of the sessions that a query finds.
func found(appliance *spstest.Appliance, query string) (keys []string) {
	client, err := connect(appliance)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(context.Background())
	var page struct {
		Items []struct {
			Key string `json:"key"`
		} `json:"items"`
	}
	answer, err := client.Invoke(context.Background(), "GET", "audit/sessions", nil, sps.WithQuery("q", query))
	if err == nil {
		err = answer.Decode(&page)
	}
	if err != nil {
		log.Fatal(err)
	}
	for _, item := range page.Items {
		keys = append(keys, item.Key)
	}
	return keys
}

func ExampleWithAuditSessions() {
	appliance, _, stop := start(spstest.WithAuditSessions(1_000))
	defer stop()
	fmt.Println(len(found(appliance, "duration:[3600 TO *]")) > 10)
	// Output: true
}

func ExampleAppliance_AddAuditSession() {
	appliance, _, stop := start()
	defer stop()
	appliance.AddAuditSession(spstest.AuditSession{Key: "svc-1", Protocol: "RDP", Body: json.RawMessage(`{"client":{"name":"kiosk"}}`)})
	appliance.AddAuditSession(spstest.AuditSession{})
	fmt.Println(found(appliance, "client.name:kiosk"))
	// Output: [svc-1]
}

func ExampleAppliance_EndAuditSession() {
	appliance, _, stop := start()
	defer stop()
	key := appliance.AddAuditSession(spstest.AuditSession{})
	fmt.Println(len(found(appliance, "active:true")), appliance.EndAuditSession(key, time.Time{}), len(found(appliance, "active:true")))
	// Output: 1 true 0
}

func ExampleAppliance_ArchiveAuditSession() {
	appliance, _, stop := start()
	defer stop()
	key := appliance.AddAuditSession(spstest.AuditSession{End: time.Now()})
	fmt.Println(appliance.ArchiveAuditSession(key))
	// Output: true
}

func ExampleAppliance_AuditSessions() {
	appliance, _, stop := start(spstest.WithAuditSessions(1_000))
	defer stop()
	exported := map[string]int{} // the sessions that the code under test exported
	lost := 0
	for session := range appliance.AuditSessions() {
		if !session.End.IsZero() && exported[session.Key] != 1 {
			lost++
		}
	}
	fmt.Println(lost > 900)
	// Output: true
}

func ExampleAppliance_DropSnapshots() {
	appliance, client, stop := start(spstest.WithAuditSessions(1_000))
	defer stop()
	if _, err := client.Invoke(context.Background(), "GET", "audit/sessions/_snapshot", nil); err != nil {
		log.Fatal(err)
	}
	fmt.Println(appliance.DropSnapshots(), appliance.DropSnapshots())
	// Output: 1 0
}

func ExampleWithAuditTrailSize() {
	appliance, _, stop := start(spstest.WithAuditTrailSize(2 << 30))
	defer stop()
	key := appliance.AddAuditSession(spstest.AuditSession{TrailSize: 100})
	_, size, ok := appliance.AuditTrail(key, "")
	fmt.Println(size, ok)
	// Output: 100 true
}

func ExampleAppliance_AuditTrail() {
	appliance, client, stop := start()
	defer stop()
	key := appliance.AddAuditSession(spstest.AuditSession{TrailSize: 5 << 20})
	var downloaded bytes.Buffer
	if _, err := client.Download(context.Background(), "audit/sessions/"+key+"/audit_trail", &downloaded); err != nil {
		log.Fatal(err)
	}
	content, _, _ := appliance.AuditTrail(key, "")
	want, err := io.ReadAll(content)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(want), bytes.Equal(want, downloaded.Bytes()))
	// Output: 5242880 true
}
