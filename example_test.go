package sps_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

// example returns a client of a simulated appliance, and how to end both.
func example() (*spstest.Appliance, *sps.Client, func()) {
	appliance, err := spstest.Start()
	if err != nil {
		log.Fatal(err)
	}
	client, err := sps.Connect(context.Background(), appliance.Addr(),
		sps.UsernamePassword(appliance.Username(), sps.NewSecretString(appliance.Password())),
		sps.WithCABundle(appliance.CA()))
	if err != nil {
		log.Fatal(err)
	}
	return appliance, client, func() {
		client.Close(context.Background())
		appliance.Close()
	}
}

func ExampleConnect() {
	ctx := context.Background()
	appliance, err := spstest.Start() // in place of an appliance of yours
	if err != nil {
		log.Fatal(err)
	}
	defer appliance.Close()

	client, err := sps.Connect(ctx, appliance.Addr(),
		sps.UsernamePassword("admin", sps.NewSecretString("a")),
		sps.WithCABundle(appliance.CA()))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)

	info, err := client.Info(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.FirmwareVersion)
	// Output: 7.4.0
}

func ExampleConnect_refused() {
	appliance, _, end := example()
	defer end()
	_, err := sps.Connect(context.Background(), appliance.Addr(),
		sps.UsernamePassword("admin", sps.NewSecretString("wrong")),
		sps.WithPinnedCertificates(appliance.Fingerprint()))
	fmt.Println(errors.Is(err, sps.AuthenticationFailure))
	// Output: true
}

func ExampleLoginMethods() {
	appliance, _, end := example()
	defer end()
	methods, err := sps.LoginMethods(context.Background(), appliance.Addr(), sps.WithCABundle(appliance.CA()))
	if err != nil {
		log.Fatal(err)
	}
	for _, method := range methods {
		fmt.Println(method.Name)
	}
	// Output: local
}

func ExampleFirmware_Test() {
	appliance, client, end := example()
	defer end()
	appliance.SetSlot(spstest.Slot{Key: "5", Version: "8.1.0", TestFailure: &spstest.TestFailure{ExitCode: 1, Summary: "HA check started\nHA check failed"}})

	for _, key := range []string{"2", "3", "5"} {
		report, err := client.Firmware.Test(context.Background(), key)
		var failed *sps.FirmwareTestFailure
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

func ExampleFirmware_Slots() {
	_, client, end := example()
	defer end()
	list, err := client.Firmware.Slots(context.Background())
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

func ExampleFirmware_DeleteSlot() {
	_, client, end := example()
	defer end()
	fmt.Println(client.Firmware.DeleteSlot(context.Background(), "4"))
	fmt.Println(client.Firmware.DeleteSlot(context.Background(), "1"))
	// Output:
	// <nil>
	// sps: DELETE firmware/slots/1: the firmware slot is in use: it holds the running firmware 7.4.0
}

func ExampleFirmware_Upload() {
	_, client, end := example()
	defer end()
	const size = 4 << 20
	image := spstest.Image("8.1.0", size) // or a file, by UploadFile
	slot, err := client.Firmware.Upload(context.Background(), image, size)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("slot", slot.Key, "holds", slot.Body.Version)
	// Output: slot 3 holds 8.1.0
}

func ExampleFirmware_StartFetch() {
	appliance, client, end := example()
	defer end()
	ctx := context.Background()
	const url, sum = "https://images.example/sps.iso", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	appliance.ServeImage(url, "8.1.0", sum)

	key, err := client.Firmware.StartFetch(ctx, url, sum)
	if err != nil {
		log.Fatal(err)
	}
	fetch, err := client.Firmware.WaitFetch(ctx, key, sps.PollEvery(time.Millisecond))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(fetch.Status, client.Firmware.RemoveFetch(ctx, key))
	// Output: finished <nil>
}

func ExampleFirmware_Upgrade() {
	_, client, end := example()
	defer end()
	report, err := client.Firmware.Upgrade(context.Background(), sps.FromSlot("2"),
		sps.UpgradeMessage("CHG-1234"),
		sps.UpgradeWaiting(sps.PollEvery(time.Millisecond), sps.WaitAtMost(time.Minute)))
	var stopped *sps.UpgradeError
	if errors.As(err, &stopped) {
		log.Fatalf("stopped at %s: %v; %s", stopped.Step, stopped.Err, stopped.Left)
	}
	fmt.Println("from", report.From, "to", report.Info.FirmwareVersion)
	// Output: from 7.4.0 to 8.0.0
}

func ExampleFirmware_Upgrade_dryRun() {
	_, client, end := example()
	defer end()
	report, err := client.Firmware.Upgrade(context.Background(), sps.FromSlot("2"), sps.StopAfterTest())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("could go from", report.From, "to", report.To)
	// Output: could go from 7.4.0 to 8.0.0
}

func ExampleCompareVersions() {
	order, ok := sps.CompareVersions("7.10.0", "7.9")
	fmt.Println(order, ok)
	// Output: 1 true
}

func ExampleClient_Transaction() {
	appliance, client, end := example()
	defer end()
	err := client.Transaction(context.Background(), func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Email.Update(ctx, func(e *sps.EmailSettings) error {
			e.AlertingAddress = "soc@example.com" // everything else stays
			return nil
		})
	}, sps.CommitMessage("CHG-1234"))
	if errors.Is(err, sps.ErrLocked) {
		fmt.Println("somebody else is changing the configuration")
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(appliance.Commits()[0].Message)
	// Output: CHG-1234
}

func ExampleNewSingleton() {
	_, client, end := example()
	defer end()
	timezone := sps.NewSingleton[string](client, "configuration/datetime/timezone")
	err := client.Transaction(context.Background(), func(ctx context.Context, tx *sps.Transaction) error {
		return timezone.In(tx).Replace(ctx, "Europe/Budapest")
	})
	if err != nil {
		log.Fatal(err)
	}
	now, err := timezone.Get(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(now.Key, now.Body)
	// Output: timezone Europe/Budapest
}

func ExampleNewCollection() {
	_, client, end := example()
	defer end()
	type Policy struct {
		Name string `json:"name"`
	}
	policies := sps.NewCollection[Policy](client, "configuration/policies/audit_policies")
	for policy, err := range policies.All(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(policy.Body.Name)
	}
	// Unordered output:
	// default
	// remote-timestamping
}

func ExampleClient_Invoke() {
	_, client, end := example()
	defer end()
	response, err := client.Invoke(context.Background(), "GET", "integrated_products", nil)
	if err != nil {
		log.Fatal(err)
	}
	var products struct {
		Items []struct {
			Name      string `json:"name"`
			Activated bool   `json:"activated"`
		} `json:"items"`
	}
	if err := response.Decode(&products); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(products.Items))

	_, err = client.Invoke(context.Background(), "PUT", "configuration/management/email", products)
	fmt.Println(errors.Is(err, sps.ErrTransactionOnly))
	// Output:
	// 0
	// true
}
