// Package unvendored has no code. It is a package so that `go mod vendor` takes along the header that says what to do
// if nothing was put into vendored.
package unvendored
