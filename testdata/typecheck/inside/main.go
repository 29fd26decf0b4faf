// A write in a transaction: this program compiles.
package main

import (
	"context"

	"github.com/go-sps/sps"
)

func change(ctx context.Context, client *sps.Client) error {
	return client.Transaction(ctx, func(ctx context.Context, tx *sps.Transaction) error {
		return tx.Management.Email.Update(ctx, func(*sps.EmailSettings) error { return nil })
	})
}

func main() { _ = change(context.Background(), nil) }
