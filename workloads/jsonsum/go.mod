module jsonsum

go 1.25
