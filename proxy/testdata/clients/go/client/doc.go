// Package client is what oapi-codegen makes of the contract: proxy/clients_test.go lays client.gen.go beside this
// file for the compiler alone. These imports are the generated file's, so that go.mod names what it needs.
package client

import (
	_ "github.com/oapi-codegen/runtime"
	_ "go.yaml.in/yaml/v3"
)
