// Command bare reads an endpoint without the SDK. It uses net/http and the two libraries that
// the SDK also uses. Command performance compares the size of its binary with that of the
// command sdk, to find the size of the SDK itself.
package main

import (
	"fmt"
	"net/http"
	"os"

	"github.com/go-json-experiment/json"
	"github.com/hashicorp/go-retryablehttp"
)

func main() {
	if err := read(os.Getenv("SPS_HOST")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func read(host string) error {
	client := retryablehttp.NewClient()
	req, err := retryablehttp.NewRequest(http.MethodGet, "https://"+host+"/api/firmware/slots", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct {
		Items []struct {
			Key  string
			Body struct{ Version string }
		}
	}
	if err := json.UnmarshalRead(resp.Body, &answer); err != nil {
		return err
	}
	out, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	fmt.Println(string(out))
	return nil
}
