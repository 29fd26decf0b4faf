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
	err := client.Firmware.Slots.Delete(context.Background(), "1") // it holds the running firmware
	fmt.Println(errors.Is(err, sps.ErrSlotInUse))
	// Output:
	// <nil>
	// true
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

func ExampleFirmware_UploadFile() {
	_, client, end := example()
	defer end()
	const size = 3 << 20
	name := imageFile("8.1.0", size) // a file of yours
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

// imageFile writes an image that the simulated appliance takes for firmware.
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
	// Compare by Is: appliances write their statuses in more than one way.
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
	fetches, err := client.Firmware.Fetch.List(ctx) // also those of others
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
		sps.WithProgress(func(p sps.Progress) { looks++ })) // p.State tells in words what was seen
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.FirmwareVersion, "after some looks:", looks > 1)
	// Output: 8.0.0 after some looks: true
}

func ExampleWithRestartOf() {
	appliance, client, end := example()
	defer end()
	ctx := context.Background()
	appliance.SetSlot(spstest.Slot{Key: "3", Version: "7.4.0"}) // what runs already, to install it anew
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
	// no upgrade was begun; the appliance ran 7.4.0; the image stays in slot 3
}

func ExampleFromFile() {
	_, client, end := example()
	defer end()
	name := imageFile("8.1.0", 1<<20) // a file of yours
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
