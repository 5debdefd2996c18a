//go:build tools

// Package tools names the servers that the tests build; go.mod and go.sum fix their version and those of their modules.
package tools

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
)
