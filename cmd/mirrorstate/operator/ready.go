package operator

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/mirrorstate/mirrorstate/proxy/client"
)

// readyTime bounds the request. A server answers it without reaching a SQL Server.
const readyTime = 3 * time.Second

// AskReady asks /readyz, and returns the answer as one line. A status other than 200 is an error.
func AskReady(ctx context.Context, admin string, by *tls.Config) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	if err := client.ValidURL(admin); err != nil {
		return "", notAdmin(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(admin, "/")+"/readyz", nil)
	if err != nil {
		return "", err
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: by}}
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err != nil {
		return "", fmt.Errorf("read the answer: %w", err)
	}
	text := strings.Join(strings.Fields(string(body)), " ")
	if resp.StatusCode == http.StatusNotFound {
		return "", fmt.Errorf("%s has no /readyz%s", admin, AdminHint)
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("not ready (%d): %s", resp.StatusCode, text)
	}
	return text, nil
}

// AdminHint is the advice if something else than an operators' listener answers.
const AdminHint = "; is this the operators' listener? its port is 8081 unless admin.listen sets another one: --admin http://127.0.0.1:8081"
