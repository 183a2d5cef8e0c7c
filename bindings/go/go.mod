module dappco.re/go/core/process

go 1.26

require github.com/stretchr/testify v1.12.1

require (
	dappco.re/go/core v0.4.7
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)

replace dappco.re/go/core => ./corestandin/v0.4.7
