package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const (
	adminTokenEnv = envPrefix + "ADMIN_TOKEN" // the variable of admin.token, on the node and here

	remoteTime = 90 * time.Second // for one answer: a reload may fetch keys and compile
	maxAnswer  = 4 << 20          // bytes
)

// remote is the admin listener of a running node.
type remote struct {
	base  string
	token string
}

// newRemoteCommands are the commands that talk to a running node.
func newRemoteCommands(env []string, stdout io.Writer) []*cobra.Command {
	to := remote{token: newSecrets(env).env[adminTokenEnv]}
	var everywhere bool
	reload := &cobra.Command{
		Use:   "reload",
		Short: "Have a running node read its configuration and filters anew",
		Long: "A node reads its configuration and filters anew as a whole: if anything is wrong,\n" +
			"what was in force stays so, and the command says why and exits with 1. With --everywhere all\n" +
			"nodes are told to; what came of it is in the log and status of each.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if everywhere {
				return to.reloadEverywhere(cmd.Context(), stdout)
			}
			return to.reload(cmd.Context(), stdout)
		},
	}
	reload.Flags().BoolVar(&everywhere, "everywhere", false, "tell all nodes that meet this one")
	status := &cobra.Command{
		Use:   "status",
		Short: "Show what a running node has in force",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return to.status(cmd.Context(), stdout) },
	}
	var why string
	rollback := &cobra.Command{
		Use:   "rollback",
		Short: "Have a running node go back to the generation before",
		Long: "A node keeps the generation that its last reload replaced. This puts it into force again,\n" +
			"which cannot fail. The files are not touched: the node reads them anew when they change, or\n" +
			"when sluice reload asks for it.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return to.rollback(cmd.Context(), why, stdout) },
	}
	rollback.Flags().StringVar(&why, "why", "", "what is said about it in the node's log and status")
	for _, cmd := range []*cobra.Command{reload, status, rollback} {
		cmd.Flags().StringVar(&to.base, "admin", "http://127.0.0.1:8081", "the node's admin listener; its token is taken from "+adminTokenEnv)
	}
	return []*cobra.Command{reload, rollback, status}
}

func (to *remote) reload(ctx context.Context, stdout io.Writer) error {
	return to.change(ctx, "/api/reload", struct{}{}, stdout)
}

func (to *remote) reloadEverywhere(ctx context.Context, stdout io.Writer) error {
	var answer struct {
		OrderID string `json:"order_id"`
	}
	if err := to.call(ctx, http.MethodPost, "/api/reload", map[string]bool{"everywhere": true}, &answer); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "all nodes were told, by order %s\n", oneLine(answer.OrderID, 200))
	return nil
}

func (to *remote) rollback(ctx context.Context, why string, stdout io.Writer) error {
	return to.change(ctx, "/api/rollback", map[string]string{"why": why}, stdout)
}

func (to *remote) change(ctx context.Context, path string, body any, stdout io.Writer) error {
	var answer struct {
		Generation uint64 `json:"generation"`
	}
	if err := to.call(ctx, http.MethodPost, path, body, &answer); err != nil {
		return err
	}
	_, err := fmt.Fprintf(stdout, "generation %d is in force\n", answer.Generation)
	return err
}

// call asks the node, and decodes its answer.
func (to *remote) call(ctx context.Context, method, path string, body, answer any) error {
	base, err := url.Parse(to.base)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return fmt.Errorf("--admin: %q is not a URL such as http://127.0.0.1:8081", to.base)
	}
	ctx, cancel := context.WithTimeout(ctx, remoteTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, base.JoinPath(path).String(), nil)
	if err != nil {
		return err
	}
	if method == http.MethodPost {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		request.Body, request.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
		request.Header.Set("Content-Type", "application/json")
	}
	if to.token != "" {
		request.Header.Set("Authorization", "Bearer "+to.token)
	}
	// A redirect would carry the token to where it was not meant to go.
	client := &http.Client{Transport: &http.Transport{}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return fmt.Errorf("no node answers at %s: %w; start one, or name its admin listener with --admin", base, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("the answer of %s broke off: %w", base, err)
	}
	if response.StatusCode != http.StatusOK {
		return to.refused(base, response, text)
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("the answer of %s is not that of a Sluice node's admin listener; check --admin", base)
	}
	return nil
}

// refused says why the node refused.
func (to *remote) refused(base *url.URL, response *http.Response, body []byte) error {
	var why struct {
		Code   string `json:"code"`
		Reason string `json:"reason"`
	}
	if json.Unmarshal(body, &why) != nil || why.Reason == "" {
		return fmt.Errorf("%s answers %s, not as a Sluice node's admin listener does; check --admin", base, response.Status)
	}
	if response.StatusCode == http.StatusUnauthorized {
		return fmt.Errorf("the node wants its admin.token: set the variable %s", adminTokenEnv)
	}
	lines := strings.Split(why.Reason, "\n")
	for i := range lines {
		lines[i] = oneLine(lines[i], 1000)
	}
	return fmt.Errorf("the node refuses: %s", strings.Join(lines, "\n"))
}
