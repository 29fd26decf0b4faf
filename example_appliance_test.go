package sps_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

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
	// 7 changed files in core
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
	appliance, err := spstest.Start(spstest.WithCluster())
	if err != nil {
		log.Fatal(err)
	}
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
	appliance, err := spstest.Start()
	if err != nil {
		log.Fatal(err)
	}
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
	if err != nil { // errors.Is(err, sps.StarlingUnavailable), where the appliance refuses
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
	var file bytes.Buffer // or an *os.File
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
	bundles, err := client.Troubleshooting.SupportBundle.List(ctx) // also those of others
	if err != nil {
		log.Fatal(err)
	}
	for _, bundle := range bundles {
		for !bundle.Status.Done() { // or SupportBundles.Wait, which takes its time
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
