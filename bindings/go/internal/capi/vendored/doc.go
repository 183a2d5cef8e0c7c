// Package vendored has no code. It is a package so that `go mod vendor` takes along what `make go-vendor` puts here:
// the header and the static library.
package vendored
