//go:build tools

// Package tools names the program that the tests build; go.mod and go.sum fix its version and those of its modules.
package tools

import (
	_ "github.com/prometheus/prometheus/cmd/promtool"
)
