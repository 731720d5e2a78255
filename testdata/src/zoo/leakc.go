//go:build leakc
// +build leakc

package main

/*
static const char *where(void) { return __FILE__; }
const char *where_else(void);
*/
import "C"

func fromC() string { return C.GoString(C.where()) + " " + C.GoString(C.where_else()) }
