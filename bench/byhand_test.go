package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	newjson "github.com/go-json-experiment/json"
)

// byHand is a client without the SDK. It uses net/http and a struct for each response, checks
// errors and closes bodies. Its session does not expire, and it does not retry requests.
type byHand struct {
	client  *http.Client
	url     string // base URL, which ends with /api/
	session string
	codec
}

// codec has the functions of a JSON package.
type codec struct {
	decode func(io.Reader, any) error
	encode func(any) ([]byte, error)
}

var (
	standard = codec{
		func(r io.Reader, v any) error { return json.NewDecoder(r).Decode(v) },
		json.Marshal,
	}
	newer = codec{
		func(r io.Reader, v any) error { return newjson.UnmarshalRead(r, v) },
		func(v any) ([]byte, error) { return newjson.Marshal(v) },
	}
)

type handMeta struct {
	Href        string `json:"href"`
	Parent      string `json:"parent"`
	Transaction string `json:"transaction"`
}

type handError struct {
	Status  int
	Type    string          `json:"type"`
	Message string          `json:"message"`
	Details json.RawMessage `json:"details"`
}

func (e *handError) Error() string { return fmt.Sprintf("%d %s: %s", e.Status, e.Type, e.Message) }

// handTestFailed has the details of a failed firmware test.
type handTestFailed struct {
	ExitCode    int    `json:"exit_code"`
	TestSummary string `json:"test_summary"`
}

// do sends a request and decodes the response into out.
func (h *byHand) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := h.encode(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, h.url+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.AddCookie(&http.Cookie{Name: "session_id", Value: h.session})
	resp, err := h.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		var failure struct {
			Error handError `json:"error"`
		}
		if err := h.decode(resp.Body, &failure); err != nil {
			return fmt.Errorf("%s: %w", resp.Status, err)
		}
		failure.Error.Status = resp.StatusCode
		return &failure.Error
	}
	if out == nil {
		_, err := io.Copy(io.Discard, resp.Body)
		return err
	}
	return h.decode(resp.Body, out)
}

type handAlert struct {
	Email bool `json:"email"`
	SNMP  bool `json:"snmp"`
}

type handAlerts struct {
	Key  string               `json:"key"`
	Meta handMeta             `json:"meta"`
	Body map[string]handAlert `json:"body"`
}

func (h *byHand) trafficAlerts(ctx context.Context) (*handAlerts, error) {
	var out handAlerts
	if err := h.do(ctx, http.MethodGet, alertsPath, nil, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

type handSlot struct {
	Key  string   `json:"key"`
	Meta handMeta `json:"meta"`
	Body struct {
		AfterReboot  bool    `json:"after_reboot"`
		Current      bool    `json:"current"`
		UpgradeNews  *string `json:"upgrade_news"`
		UpgradeNotes string  `json:"upgrade_notes"`
		Version      string  `json:"version"`
	} `json:"body"`
}

type handSlots struct {
	Items []handSlot `json:"items"`
	Meta  struct {
		CurrentSlot string `json:"current_slot"`
		EmptySlots  int    `json:"number_of_empty_slots"`
	} `json:"meta"`
}

func (h *byHand) slots(ctx context.Context) (*handSlots, error) {
	var out handSlots
	if err := h.do(ctx, http.MethodGet, slotsPath, nil, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

type handStore struct {
	Key  string   `json:"key"`
	Meta handMeta `json:"meta"`
	Body struct {
		Name        string `json:"name"`
		Authorities []struct {
			PEM         string `json:"pem"`
			Issuer      string `json:"issuer"`
			Subject     string `json:"subject"`
			Fingerprint struct {
				Digest        string `json:"digest"`
				HashAlgorithm string `json:"hash_algorithm"`
			} `json:"fingerprint"`
		} `json:"authorities"`
		CRLURLs         []string `json:"crl_urls"`
		RevocationCheck string   `json:"revocation_check"`
		Type            string   `json:"trust_store_type"`
	} `json:"body"`
}

func (h *byHand) stores(ctx context.Context) ([]handStore, error) {
	var out struct {
		Items []handStore `json:"items"`
	}
	if err := h.do(ctx, http.MethodGet, storesPath, nil, &out); err != nil {
		return nil, err
	}
	return out.Items, nil
}

// testSlot runs a firmware test, and returns the details of its failure.
func (h *byHand) testSlot(ctx context.Context) (*handTestFailed, error) {
	err := h.do(ctx, http.MethodPost, testPath, map[string]int{"slot_id": 2}, nil)
	var failure *handError
	if errors.As(err, &failure) && failure.Type == "FirmwareTestFailed" {
		var details handTestFailed
		if err := h.decode(bytes.NewReader(failure.Details), &details); err != nil {
			return nil, err
		}
		return &details, nil
	}
	return nil, err
}

// update enables one alert in a transaction.
func (h *byHand) update(ctx context.Context) error {
	if err := h.do(ctx, http.MethodPost, transactionPath, struct{}{}, nil); err != nil {
		return err
	}
	err := func() error {
		alerts, err := h.trafficAlerts(ctx)
		if err != nil {
			return err
		}
		alerts.Body["scbConnectionDenied"] = handAlert{Email: true}
		if err := h.do(ctx, http.MethodPut, alertsPath, alerts.Body, nil); err != nil {
			return err
		}
		return h.do(ctx, http.MethodPut, transactionPath, map[string]string{"status": "commit"}, nil)
	}()
	if err != nil {
		return errors.Join(err, h.do(ctx, http.MethodDelete, transactionPath, nil, nil))
	}
	return nil
}
