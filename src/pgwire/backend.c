/* What a server says. */
#include "pgwire/backend.h"

#include "base/wr.h"
#include "pgwire/hello.h"

#include <stdio.h>

void backend_auth(struct buf *out, enum auth_code code, struct bytes payload)
{
    struct wr w = wr_begin(out, 'R');

    wr_u32(&w, (uint32_t)code);
    wr_bytes(&w, payload);
    wr_end(&w);
}

void backend_auth_sasl(struct buf *out, const struct str *mechanisms, size_t count)
{
    struct wr w = wr_begin(out, 'R');

    wr_u32(&w, AUTH_SASL);
    for (size_t i = 0; i < count; i++)
        wr_cstr(&w, mechanisms[i]);
    wr_u8(&w, 0);
    wr_end(&w);
}

void backend_parameter_status(struct buf *out, struct str name, struct str value)
{
    struct wr w = wr_begin(out, 'S');

    wr_cstr(&w, name);
    wr_cstr(&w, value);
    wr_end(&w);
}

void backend_key_data(struct buf *out, uint32_t pid, struct bytes key)
{
    struct wr w = wr_begin(out, 'K');

    wr_u32(&w, pid);
    wr_bytes(&w, key);
    wr_end(&w);
}

void backend_ready(struct buf *out, char state)
{
    struct wr w = wr_begin(out, 'Z');

    wr_u8(&w, (uint8_t)state);
    wr_end(&w);
}

void backend_negotiate(struct buf *out, const struct startup *startup)
{
    struct wr w = wr_begin(out, 'v');

    wr_u32(&w, startup->version);
    wr_u32(&w, (uint32_t)startup->pq_option_count);
    for (size_t i = 0; i < startup->pq_option_count; i++)
        wr_cstr(&w, startup->pq_options[i]);
    wr_end(&w);
}

static void field(struct wr *w, char code, const char *text)
{
    if (text[0] == '\0')
        return;
    wr_u8(w, (uint8_t)code);
    wr_cstr(w, str_c(text));
}

void backend_report(struct buf *out, enum severity severity, const struct err *e, unsigned position)
{
    struct wr w = wr_begin(out, severity == SEV_ERROR || severity == SEV_FATAL ? 'E' : 'N');
    char number[16];

    field(&w, 'S', severity_name(severity));
    field(&w, 'V', severity_name(severity));
    field(&w, 'C', code_sqlstate(e->code));
    field(&w, 'M', err_text(e));
    if (!e->detail_is_for_log)
        field(&w, 'D', e->detail);
    field(&w, 'H', e->hint);
    if (position > 0) {
        (void)snprintf(number, sizeof number, "%u", position);
        field(&w, 'P', number);
    }
    wr_u8(&w, 0);
    wr_end(&w);
}

void backend_fatal(struct buf *out, const struct err *e)
{
    backend_report(out, SEV_FATAL, e, 0);
}

void backend_fatal_v2(struct buf *out, const struct err *e)
{
    buf_printf(out, "EFATAL:  %s\n", err_text(e));
    buf_append_byte(out, 0);
}
