//go:build !leakc
// +build !leakc

package main

func fromC() string { return "no C" }
