//go:build !linux

package main

import "net"

// listenConfig is Go's default.
var listenConfig net.ListenConfig
