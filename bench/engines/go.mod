module nightlatch/bench/engines

go 1.26.4

require (
	github.com/AdguardTeam/urlfilter v0.23.4
	github.com/v2fly/v2ray-core/v5 v5.16.1
	nightlatch v0.0.0
)

require (
	github.com/AdguardTeam/golibs v0.35.13 // indirect
	github.com/c2h5oh/datasize v0.0.0-20231215233829-aa82cc1e6500 // indirect
	github.com/miekg/dns v1.1.73 // indirect
	golang.org/x/exp v0.0.0-20260611194520-c48552f49976 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	gopkg.in/yaml.v3 v3.0.1 // indirect
)

replace nightlatch => ../..
