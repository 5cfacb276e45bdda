/* What a client says. */
#include "pgwire/frontend.h"

#include "base/wr.h"
#include "pgwire/hello.h"

static void request(struct buf *out, uint32_t code)
{
    struct wr w = wr_begin(out, 0);

    wr_u32(&w, code);
    wr_end(&w);
}

void frontend_ssl_request(struct buf *out)
{
    request(out, HELLO_CODE_SSL);
}

void frontend_gssenc_request(struct buf *out)
{
    request(out, HELLO_CODE_GSSENC);
}

void frontend_startup(struct buf *out, uint32_t version, const struct parameter *parameters, size_t count)
{
    struct wr w = wr_begin(out, 0);

    wr_u32(&w, version);
    for (size_t i = 0; i < count; i++) {
        wr_cstr(&w, parameters[i].name);
        wr_cstr(&w, parameters[i].value);
    }
    wr_u8(&w, 0);
    wr_end(&w);
}

void frontend_cancel(struct buf *out, uint32_t pid, struct bytes key)
{
    struct wr w = wr_begin(out, 0);

    wr_u32(&w, HELLO_CODE_CANCEL);
    wr_u32(&w, pid);
    wr_bytes(&w, key);
    wr_end(&w);
}

void frontend_password(struct buf *out, struct bytes password)
{
    struct wr w = wr_begin(out, 'p');

    wr_bytes(&w, password);
    wr_u8(&w, 0);
    wr_end(&w);
}

void frontend_sasl_response(struct buf *out, struct bytes data)
{
    struct wr w = wr_begin(out, 'p');

    wr_bytes(&w, data);
    wr_end(&w);
}

void frontend_query(struct buf *out, struct str sql)
{
    struct wr w = wr_begin(out, 'Q');

    wr_cstr(&w, sql);
    wr_end(&w);
}

void frontend_terminate(struct buf *out)
{
    struct wr w = wr_begin(out, 'X');

    wr_end(&w);
}
