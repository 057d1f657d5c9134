package main

import (
	"os"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// quietTime is for how long nothing must have happened to the files before
	// they are looked at, and patientTime how long that is waited for: a burst of
	// changes is one, and an endless one does not keep them from being seen.
	quietTime   = 200 * time.Millisecond
	patientTime = 2 * time.Second

	// minPoll keeps looking at the files from becoming what a node does.
	minPoll = 100 * time.Millisecond
)

// sameText is logged when somebody has touched files, and changed nothing.
const sameText = "the files of the configuration say the same as before"

// newNotifier makes what tells of changes to files.
var newNotifier = fsnotify.NewWatcher

// watcher reloads when what the configuration is read from has changed. Its
// goroutine, run, owns all of it.
type watcher struct {
	reloads *reloads
	notify  *fsnotify.Watcher // nil: the system tells nothing, and the poll has to do
	points  points
	folders map[string]os.FileInfo // that are watched
	failed  map[string]bool        // that could not be, and of which that was said

	since time.Time // of the first change that nobody has looked at; zero: there is none
	timer *time.Timer
}

// watch reloads whenever files change, until stop.
func (r *reloads) watch() {
	poll := r.node.config.Reload.Poll
	w := &watcher{reloads: r, folders: make(map[string]os.FileInfo), failed: make(map[string]bool), timer: time.NewTimer(0)}
	var err error
	if w.notify, err = newNotifier(); err != nil {
		r.node.log.Warn("the system does not tell of changes to files: they are looked at now and then instead", "every", poll.String(), "cause", err)
		w.notify = nil
	}
	r.loops.Add(1)
	go func() {
		defer r.loops.Done()
		w.run(poll)
	}()
}

// run looks at the files at once, after each change that it is told of, and
// every so often: events may be lost, and some file systems have none.
func (w *watcher) run(poll time.Duration) {
	defer w.timer.Stop()
	var (
		events <-chan fsnotify.Event
		lost   <-chan error
		ticks  <-chan time.Time
	)
	if w.notify != nil {
		defer w.notify.Close()
		events, lost = w.notify.Events, w.notify.Errors
	}
	if poll > 0 {
		ticker := time.NewTicker(poll)
		defer ticker.Stop()
		ticks = ticker.C
	}
	for {
		select {
		case <-w.reloads.ended.Done():
			return
		case e := <-events:
			if w.points.concerns(e.Name) {
				w.wait()
			}
		case <-lost:
			w.wait()
		case <-w.timer.C:
			w.look()
		case <-ticks:
			w.glance()
		}
	}
}

// wait lets the files settle before they are looked at.
func (w *watcher) wait() {
	now := time.Now()
	if w.since.IsZero() {
		w.since = now
	}
	w.timer.Reset(max(0, min(quietTime, time.Until(w.since.Add(patientTime)))))
}

// look reloads if the files have changed.
func (w *watcher) look() {
	w.since = time.Time{}
	w.follow()
	if w.reloads.reloadChanged() {
		// Other files may count now, and may have changed before they were watched.
		w.follow()
		w.wait()
	} else {
		w.reloads.node.log.Debug(sameText)
	}
}

// glance is what a poll does. Somebody may be writing what it finds changed:
// that settles as after an event.
func (w *watcher) glance() {
	w.follow()
	if w.since.IsZero() && w.reloads.touched() {
		w.wait()
	}
}

// follow watches the folders that matter now. A folder that has gone, or whose
// place another has taken, is watched again when it is there.
func (w *watcher) follow() {
	if w.notify == nil || !w.reloads.points(&w.points) {
		return
	}
	for folder, was := range w.folders {
		is, err := os.Stat(folder)
		if !w.points.folders[folder] || err != nil || !os.SameFile(was, is) {
			_ = w.notify.Remove(folder) // it may have gone by itself
			delete(w.folders, folder)
		}
	}
	for folder := range w.points.folders {
		if w.folders[folder] != nil {
			continue
		}
		info, err := os.Stat(folder)
		if err == nil {
			err = w.notify.Add(folder)
		}
		if err != nil {
			if !w.failed[folder] {
				w.reloads.node.log.Warn("a folder cannot be watched: changes there are found only now and then", "folder", folder, "cause", err)
			}
			w.failed[folder] = true
			continue
		}
		w.folders[folder] = info
		delete(w.failed, folder)
	}
}
