#include "status/clerk_self.h"

#include "base/check.h"
#include "status/clerk_wire.h"
#include "status/vars.h"

enum { FIELDS_MAX = 65536, VALUE_MAX = 256 };

static void put_fields(struct wr *w, const struct dn_field *fields, size_t count)
{
    wr_u32(w, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        clerk_put_str(w, fields[i].name);
        clerk_put_str(w, fields[i].value);
    }
}

static const struct dn_field *take_fields(struct rd *r, struct arena *arena, size_t *out_count)
{
    size_t count = rd_u32(r);
    struct dn_field *fields = count <= FIELDS_MAX ? arena_array(arena, count, sizeof *fields) : NULL;

    *out_count = 0;
    if (fields == NULL) {
        r->bad = true;
        return NULL;
    }
    for (size_t i = 0; i < count && !r->bad; i++) {
        fields[i].name = clerk_take_str(r, CLERK_TEXT_MAX);
        fields[i].value = clerk_take_str(r, CLERK_TEXT_MAX);
    }
    *out_count = r->bad ? 0 : count;
    return fields;
}

static void put_extensions(struct wr *w, const struct ssl_extension *extensions, size_t count)
{
    wr_u32(w, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        clerk_put_str(w, extensions[i].name);
        clerk_put_str(w, extensions[i].value);
        wr_u8(w, extensions[i].critical);
    }
}

static const struct ssl_extension *take_extensions(struct rd *r, struct arena *arena, size_t *out_count)
{
    size_t count = rd_u32(r);
    struct ssl_extension *extensions = count <= FIELDS_MAX ? arena_array(arena, count, sizeof *extensions)
                                                           : NULL;

    *out_count = 0;
    if (extensions == NULL) {
        r->bad = true;
        return NULL;
    }
    for (size_t i = 0; i < count && !r->bad; i++) {
        extensions[i].name = clerk_take_str(r, CLERK_TEXT_MAX);
        extensions[i].value = clerk_take_str(r, CLERK_TEXT_MAX);
        extensions[i].critical = clerk_take_bool(r);
    }
    *out_count = r->bad ? 0 : count;
    return extensions;
}

static void put_vars(struct wr *w, const struct vars *vars)
{
    struct str name, value, help;
    size_t count = vars_count(vars);

    wr_u16(w, (uint16_t)count);
    for (size_t i = 0; i < count; i++) {
        CHECK(vars_at(vars, i, &name, &value, &help));
        clerk_put_str(w, value);
    }
}

/* By position: both sides are one program. */
static void take_vars(struct rd *r, struct vars *vars)
{
    struct str name, value, help;
    size_t count = vars_count(vars);

    if (rd_u16(r) != count)
        r->bad = true;
    for (size_t i = 0; i < count && !r->bad; i++) {
        CHECK(vars_at(vars, i, &name, &value, &help));
        vars_preset(vars, name.p, clerk_take_text(r, VALUE_MAX));
    }
}

/* The texts of console_params, in the order of the wire. */
enum { TEXTS = 10 };

static void list_texts(struct console_params *p, struct str *texts[TEXTS])
{
    struct str *const list[TEXTS] = {
        &p->user,        &p->database,   &p->system_user,   &p->client_addr,   &p->server_addr,
        &p->tls.version, &p->tls.cipher, &p->tls.client_dn, &p->tls.issuer_dn, &p->tls.client_serial
    };

    memcpy(texts, list, sizeof list);
}

void clerk_put_self(struct wr *w, const struct console_params *self, const struct vars *vars)
{
    struct console_params copy = *self;
    struct str *texts[TEXTS];

    list_texts(&copy, texts);
    for (size_t i = 0; i < TEXTS; i++)
        clerk_put_str(w, *texts[i]);
    wr_u32(w, (uint32_t)self->client_port);
    wr_u32(w, (uint32_t)self->server_port);
    wr_u32(w, (uint32_t)self->pid);
    wr_u8(w, self->is_admin);
    wr_u8(w, self->can_see_all);
    wr_u8(w, self->tls.used);
    wr_u8(w, self->tls.cert_present);
    clerk_put_i64(w, self->started_us);
    clerk_put_i64(w, self->loaded_us);
    put_fields(w, self->tls.subject_fields, self->tls.subject_field_count);
    put_fields(w, self->tls.issuer_fields, self->tls.issuer_field_count);
    put_extensions(w, self->tls.extensions, self->tls.extension_count);
    put_vars(w, vars);
}

void clerk_take_self(struct rd *r, struct arena *arena, struct console_params *self, struct vars *vars)
{
    struct str *texts[TEXTS];

    list_texts(self, texts);
    for (size_t i = 0; i < TEXTS; i++)
        *texts[i] = clerk_take_str(r, CLERK_TEXT_MAX);
    self->client_port = rd_i32(r);
    self->server_port = rd_i32(r);
    self->pid = rd_i32(r);
    self->is_admin = clerk_take_bool(r);
    self->can_see_all = clerk_take_bool(r);
    self->tls.used = clerk_take_bool(r);
    self->tls.cert_present = clerk_take_bool(r);
    self->started_us = clerk_take_i64(r);
    self->loaded_us = clerk_take_i64(r);
    self->tls.subject_fields = take_fields(r, arena, &self->tls.subject_field_count);
    self->tls.issuer_fields = take_fields(r, arena, &self->tls.issuer_field_count);
    self->tls.extensions = take_extensions(r, arena, &self->tls.extension_count);
    take_vars(r, vars);
}
