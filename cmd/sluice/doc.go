// Command sluice runs a node, checks its configuration, or makes a token for
// its filters. It alone reads flags, environment variables and files, and it
// alone exits.
//
// The way of a configuration, from text to what the router judges by:
//
//	config*.go     what keys there are: types, defaults, units, meanings
//	schema.go      the same as a tree, read from the tags of config.go
//	strict*.go     YAML against the schema; each error knows its line
//	secrets.go     ${NAME} and file: filled in
//	load.go        defaults, file, environment, flags, each over the one before;
//	               dev.go puts dev.yaml and a key of this run below the file
//	validate*.go   what can be said without opening anything
//	grants.go      default_grants as the router has them
//	keys.go        a filter's keys as plugins/keys has them
//	broker*.go     what carries messages, and its TLS; check_redis.go tries it out
//	generation.go  filters loaded, and all put together; nothing half-done is left behind
//
// and of a node: commands.go (flags), serve.go (its life, from the listeners to the
// drain), reload*.go (its next generations, and the way back), guard*.go (by itself), watch*.go (changes of its files), http.go (what is served where), keepalive_*.go, demo (the page of --dev).
// remote*.go talks to a node that runs elsewhere.
//
// And of a token: token.go (what it says), signer.go (the key that signs it). bench*.go are the flags of `sluice bench`; package bench loads and measures.
//
// Goroutines: each listener has one that serves it; reloads.listen starts one that waits for SIGHUP, watcher.run, and reloads.guarding, which looks at counters. node.serve starts them, and
// returns only when all have ended. Whoever reloads or rolls back has the one token of reloads.turn, and only he touches what is
// in force; watcher owns its folders and timers. reloads.mu guards the status alone, and nothing is called under it.
package main
