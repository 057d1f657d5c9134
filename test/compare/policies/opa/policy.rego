package sluice

import rego.v1

default allow := true

allow := false if contains(input.content, "forbidden")
