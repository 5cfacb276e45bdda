#include "renew/rollover_client_files.h"

#include "base/arena.h"
#include "base/check.h"

#include <dirent.h>
#include <stdlib.h>

static int is_certificate(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && str_ends(str_c(entry->d_name), STR(".crt"));
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Links of pgseal rotate lead to the same file. */
static bool is_gates_own(const struct rollover *r, const char *path)
{
    char real[OS_PATH_MAX], own[OS_PATH_MAX];
    struct err ignored;

    if (os_real_path(path, "read", real, &ignored) != OK)
        return false;
    for (size_t i = 0; i < r->n_pairs; i++)
        if (os_real_path(r->pairs[i].cert.p, "read", own, &ignored) == OK && strcmp(own, real) == 0)
            return true;
    return false;
}

static bool is_old(const struct rollover *r, const char *path)
{
    AUTO(cert_list) struct cert_list chain = { .n = 0 };
    struct err ignored;

    return cert_chain_load(path, &chain, &ignored) == OK &&
           rollover_issuer_of(r, &chain) == ROLLOVER_ISSUER_OLD && !is_gates_own(r, path);
}

enum code rollover_client_files(const struct rollover *r, struct str **out, size_t *out_n, struct err *e)
{
    struct str *all = arena_array(r->arena, ROLLOVER_CLIENT_FILES_MAX, sizeof *all);
    char dir[OS_PATH_MAX], path[OS_PATH_MAX];
    struct dirent **names = NULL;
    enum code code = OK;
    size_t found = 0;

    if (!all)
        return err_set(e, E_NOMEM, "out of memory");
    TRY(os_path(r->target.dir, "clients", dir, e));
    int n = scandir(dir, &names, is_certificate, by_name);
    for (int i = 0; i < n; i++) {
        if (code == OK && found < ROLLOVER_CLIENT_FILES_MAX &&
            os_path(dir, names[i]->d_name, path, e) == OK && is_old(r, path))
            code = arena_str(r->arena, str_c(path), &all[found++]) ? OK
                                                                   : err_set(e, E_NOMEM, "out of memory");
        free(names[i]);
    }
    free(names);
    TRY(code);
    *out = all;
    *out_n = found;
    return OK;
}
