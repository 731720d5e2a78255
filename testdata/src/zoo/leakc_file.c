// +build leakc

const char *where_else(void);

const char *where_else(void) {
	return __FILE__;
}
