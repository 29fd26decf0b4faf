package command

import (
	"net/http"
	"path"
	"sync"
	"sync/atomic"
)

// lockNotice is a transport that reports when a transaction waits for the configuration lock. A
// client opens a transaction with POST transaction. If the appliance refuses the request, only a
// client that waits for the lock sends it again.
type lockNotice struct {
	http.RoundTripper
	notify  func() // called once
	refused atomic.Bool
	once    sync.Once
}

// RoundTrip sends a request. Before it sends POST transaction again, it calls notify.
func (l *lockNotice) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPost || path.Base(r.URL.Path) != "transaction" {
		return l.RoundTripper.RoundTrip(r)
	}
	if l.refused.Swap(false) {
		l.once.Do(l.notify)
	}
	response, err := l.RoundTripper.RoundTrip(r)
	if err == nil && response.StatusCode/100 == 4 && response.StatusCode != http.StatusUnauthorized && response.StatusCode != http.StatusTooManyRequests {
		l.refused.Store(true)
	}
	return response, err
}
