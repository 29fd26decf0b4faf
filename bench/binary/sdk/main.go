// Command sdk reads the same endpoint as the command bare, with the SDK.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/go-sps/sps"
)

func main() {
	if err := read(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func read(ctx context.Context) error {
	client, err := sps.ConnectFromEnv(ctx)
	if err != nil {
		return err
	}
	defer client.Close(ctx)
	list, err := client.Firmware.Slots.List(ctx)
	if err != nil {
		return err
	}
	for _, slot := range list.Slots {
		fmt.Println(slot.Key, slot.Body.Version)
	}
	return nil
}
