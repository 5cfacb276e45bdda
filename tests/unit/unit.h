/** What every unit test includes: cmocka, with the four headers it wants first. */
#ifndef PGSEAL_TESTS_UNIT_H
#define PGSEAL_TESTS_UNIT_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#define assert_str(actual, expected)                                                                         \
    do {                                                                                                     \
        struct str assert_str_a_ = (actual), assert_str_e_ = str_c(expected);                                \
        assert_int_equal(assert_str_a_.n, assert_str_e_.n);                                                  \
        assert_memory_equal(assert_str_a_.p, assert_str_e_.p, assert_str_e_.n);                              \
    } while (0)

#endif
