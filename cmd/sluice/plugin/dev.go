package plugin

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/spf13/cobra"
)

const (
	// settle is the time without a change after which a build begins: editors
	// write a file in several steps.
	settle = 150 * time.Millisecond

	// reloadTime bounds the request to the node.
	reloadTime = 30 * time.Second
)

func (t *tool) devCommand() *cobra.Command {
	var admin string
	cmd := &cobra.Command{
		Use:   "dev [DIR]",
		Short: "Build, test and reload, whenever a source changes",
		Long: "Builds the project and runs its fixtures, at once and whenever one of its files changes,\n" +
			"until it is interrupted. With --admin it then has a running node reload; the token of the\n" +
			"node's admin listener is read from SLUICE_ADMIN_TOKEN.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := newDev(t, folders(args)[0], admin)
			if err != nil {
				return err
			}
			return d.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&admin, "admin", "", "the admin listener of a node to reload, as http://127.0.0.1:8081")
	return cmd
}

// dev watches one project.
type dev struct {
	*tool
	dir    string
	reload string // the URL to ask; "": nobody is
	watch  *fsnotify.Watcher
}

func newDev(t *tool, dir, admin string) (*dev, error) {
	d := &dev{tool: t, dir: dir}
	if _, err := openProject(dir); err != nil {
		return nil, err
	}
	if admin == "" {
		return d, nil
	}
	u, err := url.Parse(admin)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("--admin: %q is no address of a node, as http://127.0.0.1:8081", admin)
	}
	d.reload = u.JoinPath("api", "reload").String()
	return d, nil
}

// run builds at once, and after each change, until ctx ends.
func (d *dev) run(ctx context.Context) error {
	var err error
	if d.watch, err = fsnotify.NewWatcher(); err != nil {
		return fmt.Errorf("files cannot be watched: %w", err)
	}
	defer d.watch.Close()
	if err := d.watchFolders(); err != nil {
		return err
	}
	d.once(ctx)
	for !ended(ctx) {
		d.say("watching %s (ctrl-C ends it)", d.dir)
		if !d.changed(ctx) {
			break
		}
		d.once(ctx)
	}
	return nil
}

// watchFolders watches the project's folder and those below it.
func (d *dev) watchFolders() error {
	return filepath.WalkDir(d.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return nil //nolint:nilerr // it has just gone
		}
		if path != d.dir && unwatched(entry.Name()) {
			return filepath.SkipDir
		}
		return d.watch.Add(path)
	})
}

// unwatched are folders and files that builds and nodes make, and not people. A
// log is one: a node that logs into the project would have dev reload it for ever.
func unwatched(name string) bool {
	for _, chain := range toolchains {
		if slices.Contains(chain.generated, name) {
			return true
		}
	}
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") || strings.HasSuffix(name, ".wasm") || strings.HasSuffix(name, ".log") || name == "build"
}

// changed waits until a file has changed, and then until no other does.
func (d *dev) changed(ctx context.Context) bool {
	var quiet <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return false
		case e, ok := <-d.watch.Events:
			if !ok {
				return false
			}
			if e.Op == fsnotify.Chmod || unwatched(filepath.Base(e.Name)) {
				continue
			}
			if e.Has(fsnotify.Create) {
				if info, err := os.Stat(e.Name); err == nil && info.IsDir() {
					_ = d.watchFolders()
				}
			}
			quiet = time.After(settle)
		case err := <-d.watch.Errors:
			// Events were lost: something has changed.
			if err != nil {
				quiet = time.After(settle)
			}
		case <-quiet:
			return true
		}
	}
}

// once builds, tests and reloads, as far as it goes well.
func (d *dev) once(ctx context.Context) {
	begin := time.Now()
	if err := d.build(ctx, d.dir, false); err != nil {
		d.fail(ctx, err)
		return
	}
	switch err := d.test(ctx, chosen{}, []string{d.dir}, testOutput{}); {
	case errors.Is(err, errNoFixtures):
		d.say("no fixtures: nothing was tested")
	case err != nil:
		d.fail(ctx, err)
		return
	}
	if d.reload != "" {
		generation, err := d.askReload(ctx)
		if err != nil {
			d.fail(ctx, err)
			return
		}
		d.say("the node runs it: generation %d", generation)
	}
	d.say("done in %s", time.Since(begin).Round(time.Millisecond))
}

// fail says what went wrong, unless all that happened is that the command was
// interrupted.
func (d *dev) fail(ctx context.Context, err error) {
	var exit *ExitError
	if ended(ctx) || errors.As(err, &exit) && exit.Err == nil {
		return // the report of the tests has said it
	}
	d.say("%v", err)
}

// askReload has the node load its configuration anew, and so the filter.
func (d *dev) askReload(ctx context.Context) (generation uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, reloadTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.reload, bytes.NewReader([]byte("{}")))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	token := d.env("SLUICE_ADMIN_TOKEN")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	// Through no proxy, and to nowhere else: the request carries the token.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	response, err := client.Do(r)
	if err != nil {
		return 0, fmt.Errorf("the node was not reached: %w; is it running, and is this its admin.listen?", err)
	}
	defer response.Body.Close()
	var body struct {
		Generation    uint64
		Reason, Error string
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return 0, fmt.Errorf("the node's answer was cut off: %w", err)
	}
	_ = json.Unmarshal(text, &body)
	switch response.StatusCode {
	case http.StatusOK:
		return body.Generation, nil
	case http.StatusUnauthorized, http.StatusForbidden:
		if token == "" {
			return 0, errors.New("the node asks for its admin token: set SLUICE_ADMIN_TOKEN")
		}
		return 0, errors.New("the node refuses the admin token: set SLUICE_ADMIN_TOKEN to the one of its configuration")
	case http.StatusNotFound:
		return 0, fmt.Errorf("%s is not there: is this the admin listener of a node that can reload?", d.reload)
	}
	return 0, fmt.Errorf("the node did not reload (HTTP %d): %s", response.StatusCode, printableLines(cmp.Or(body.Reason, body.Error, strings.TrimSpace(string(text)))))
}

func printableLines(text string) string {
	lines := strings.Split(strings.ToValidUTF8(text, "\uFFFD"), "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n")
}
