/* A certificate's name as people write it; what was read is written in both forms and read again. */
#include "base/arena.h"
#include "base/check.h"
#include "fuzz.h"
#include "pki/name.h"
#include "pki/name_text.h"

#include <openssl/err.h>
#include <openssl/x509.h>

static void again(struct str text, struct str expected, struct arena *arena)
{
    __attribute__((cleanup(x509_name_auto))) X509_NAME *name = NULL;
    enum name_spelling spelling;
    struct str dn;
    struct err e;

    CHECK(name_from_text(text, &name, &spelling, &e) == OK);
    CHECK(name_rfc2253(name, arena, &dn, &e) == OK && str_equal(dn, expected));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    __attribute__((cleanup(x509_name_auto))) X509_NAME *name = NULL;
    AUTO(arena) struct arena arena;
    enum name_spelling spelling;
    struct name_value cn;
    struct str dn, slash;
    struct err e;

    arena_init(&arena, 16 << 20, 4096);
    if (name_from_text(str_of((const char *)data, size), &name, &spelling, &e) == OK) {
        (void)!name_cn(name, &arena, &cn, &e);
        (void)!name_slash(name, &arena, &slash, &e);
        if (name_rfc2253(name, &arena, &dn, &e) == OK)
            again(dn, dn, &arena);
    }
    ERR_clear_error();
    return 0;
}
