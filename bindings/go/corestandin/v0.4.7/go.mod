// A stand-in for the module of this path at v0.4.7: see core.go.
module dappco.re/go/core

go 1.26
