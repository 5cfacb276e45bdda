/* Directories of CAs. */
#include "cmd/ca_where.h"

#include "cmd/leaf.h"

enum code ca_place_find(const char *gate_dir, const char *ca_dir, struct ca_place *out, struct err *e)
{
    struct ca_place place = { .passphrase = { .what = "the CA's key" } };

    if (!gate_dir == !ca_dir)
        return err_set(e, E_USAGE,
                       gate_dir ? "one CA, please: -D or the CA's own directory"
                                : "which CA? Name the gate's directory with -D, or the CA's own");
    if (gate_dir) {
        TRY(os_path("", gate_dir, place.gate_dir, e));
        TRY(os_path(gate_dir, "ca", place.ca_dir, e));
    } else {
        TRY(os_path("", ca_dir, place.ca_dir, e));
    }
    *out = place;
    return OK;
}

const char *ca_place_owner(const struct ca_place *place)
{
    return place->gate_dir[0] ? place->gate_dir : place->ca_dir;
}

enum code ca_place_open(struct ca_place *place, enum ca_access access, const struct env *env, struct ca **out,
                        struct err *e)
{
    struct key_passphrase passphrase = passphrase_for(&place->passphrase);

    return ca_open(&(struct ca_where){ place->ca_dir, &passphrase, env }, access, out, e);
}

enum code ca_place_root(const struct ca_place *place, char out[OS_PATH_MAX], struct err *e)
{
    char path[OS_PATH_MAX];

    if (place->gate_dir[0]) {
        TRY(os_path(place->gate_dir, "tls/ca.crt", path, e));
        if (os_exists(path))
            return os_path("", path, out, e);
    }
    return os_path(place->ca_dir, "ca.crt", out, e);
}

enum code ca_place_write_crl(const struct ca_place *place, struct ca *ca, unsigned days, struct err *e)
{
    char from[OS_PATH_MAX], to[OS_PATH_MAX];

    TRY(ca_write_crl(ca, days, e));
    if (!place->gate_dir[0])
        return OK;
    TRY(os_path(place->ca_dir, "ca.crl", from, e));
    TRY(os_path(place->gate_dir, "tls/ca.crl", to, e));
    return os_exists(to) ? copy_file(from, to, 0644, e) : OK;
}
