/* A mistake of ours: say where, and end. */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void check_failed(const char *file, int line, const char *what)
{
    (void)fprintf(stderr, "PANIC:  %s:%d: check failed: %s\n", file, line, what);
    abort();
}
