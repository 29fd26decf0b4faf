package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-sps/sps/spstest"
)

// address holds the data that a process needs to connect to a server in another process.
type address struct {
	Host        string
	Fingerprint string
	CA          string // the authority of a simulated appliance; "" for another server
	Password    string
}

// tell prints the addresses of the servers, and waits until the parent process closes
// standard input.
func tell(list []address) error {
	if err := json.NewEncoder(os.Stdout).Encode(list); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, os.Stdin) // the parent closes it
	return err
}

// serveFiles runs a server that accepts uploads and serves files. It does as little as
// possible, so that the client dominates the measurement.
func serveFiles() error {
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, body string) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}
	mux.HandleFunc("/api/authentication", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session_id", Value: session, Path: "/api"})
		answer(w, `{"meta":{"href":"/api/authentication"}}`)
	})
	mux.HandleFunc("GET /api/firmware/slots", func(w http.ResponseWriter, r *http.Request) {
		answer(w, `{"items":[{"key":"1","body":{"version":"7.4.0","current":true}},{"key":"2","body":{}}],"meta":{"number_of_empty_slots":1,"current_slot":"/api/firmware/slots/1"}}`)
	})
	mux.HandleFunc("POST /api/upload/firmware", func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength < 0 {
			http.Error(w, "no Content-Length", http.StatusLengthRequired)
			return
		}
		buffer := make([]byte, 256<<10)
		if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r.Body, buffer); err != nil {
			return
		}
		answer(w, `{"key":"2","body":{"version":"8.0.0","current":false,"after_reboot":false,"upgrade_news":null,"upgrade_notes":""},"meta":{"href":"/api/firmware/slots/2","slot":"/api/firmware/slots/2"}}`)
	})
	mux.HandleFunc("GET /api/troubleshooting/support-bundle/1/download", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(downloadSize, 10))
		buffer := make([]byte, 256<<10)
		for left := int64(downloadSize); left > 0; left -= int64(len(buffer)) {
			if _, err := w.Write(buffer); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("GET /api/audit/sessions/1/audit_trail", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(trailSize, 10))
		buffer := make([]byte, 256<<10)
		for left := int64(trailSize); left > 0; left -= int64(len(buffer)) {
			if _, err := w.Write(buffer); err != nil {
				return
			}
		}
	})
	server := httptest.NewUnstartedServer(mux)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	return tell([]address{addressOf(server)})
}

func addressOf(server *httptest.Server) address {
	sum := sha256.Sum256(server.Certificate().Raw)
	return address{Host: server.Listener.Addr().String(), Fingerprint: hex.EncodeToString(sum[:])}
}

// requests is the number of requests that the servers of serveFleet have received.
var requests atomic.Int64

// serveFleet runs many simulated appliances. Each response is delayed by the latency, as
// from an appliance far away.
func serveFleet(n int, latency time.Duration) error {
	var list []address
	for range n {
		appliance := spstest.NewServer(nil, spstest.WithoutListener())
		handler := appliance.Handler()
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			time.Sleep(latency)
			handler.ServeHTTP(w, r)
		}))
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.StartTLS()
		a := addressOf(server)
		a.Password = appliance.Password()
		list = append(list, a)
	}
	if err := tell(list); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, requests.Load())
	return nil
}

// serveAppliance runs one simulated appliance.
func serveAppliance() error {
	appliance := spstest.NewServer(nil)
	defer appliance.Close()
	return tell([]address{{Host: appliance.Addr(), CA: string(appliance.CA()), Password: appliance.Password()}})
}

// serveSessions runs a simulated appliance with n recorded sessions.
func serveSessions(n int) error {
	// With this variant, each program has its own snapshot, so that a program does not wait
	// for the snapshot of the previous program.
	appliance := spstest.NewServer(nil, spstest.WithAuditSessions(n), spstest.WithVariant("snapshot-quota", "owner"))
	defer appliance.Close()
	return tell([]address{{Host: appliance.Addr(), CA: string(appliance.CA()), Password: appliance.Password()}})
}
