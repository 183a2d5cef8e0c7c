// A stand-in for the module of this path at v0.8.0-alpha.1: see core.go.
module dappco.re/go/core

go 1.26
