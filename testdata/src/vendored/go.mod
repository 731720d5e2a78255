module example.com/vendored

go 1.16

require example.com/Greet v1.2.0
