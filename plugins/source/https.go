package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"sluice/plugins/outbound"
)

// fetchURL gets a module, and its signature from beside it if that is wanted.
func (r *Reader) fetchURL(ctx context.Context, u *url.URL, wantSignature bool) (wasm, signature []byte, err error) {
	client := outbound.New(outbound.Options{LoopbackOnly: u.Scheme == "http", Transport: r.options.Transport})
	defer client.Close()
	if wasm, err = get(ctx, client, u, MaxModule); err != nil {
		return nil, nil, err
	}
	if !wantSignature {
		return wasm, nil, nil
	}
	beside := *u
	beside.Path += SignatureSuffix
	beside.RawPath = ""
	if u.RawPath != "" {
		beside.RawPath = u.RawPath + SignatureSuffix
	}
	signature, err = get(ctx, client, &beside, maxSignature)
	var failed *away
	if errors.As(err, &failed) {
		if failed.reason == notFound {
			return wasm, nil, nil
		}
		failed.text = "of its signature: " + failed.text
	}
	return wasm, signature, err
}

// get asks once. Every error is an *away.
func get(ctx context.Context, client *outbound.Client, u *url.URL, maxBytes int) ([]byte, error) {
	answer, err := client.Do(ctx, outbound.Request{Method: http.MethodGet, URL: u, MaxBytes: maxBytes,
		Header: http.Header{"Accept": {"application/wasm, application/octet-stream;q=0.9, */*;q=0.8"}}})
	var failed *outbound.Error
	switch {
	case errors.As(err, &failed):
		return nil, &away{failed.Cause, failed.Text}
	case err != nil:
		return nil, &away{outbound.Protocol, "it cannot be asked"}
	}
	return answer.Body, checkStatus(answer.Status)
}

func checkStatus(code int) error {
	switch {
	case code == http.StatusOK:
		return nil
	case code == http.StatusNotFound || code == http.StatusGone:
		return &away{notFound, fmt.Sprintf("there is nothing at the reference (status %d)", code)}
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return &away{status, fmt.Sprintf("it does not let the node read it (status %d)", code)}
	}
	return &away{status, fmt.Sprintf("it answers with status %d", code)}
}
