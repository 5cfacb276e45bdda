#include "tls/hello_ext.h"

#include "base/rd.h"

enum { HOST_NAME = 0, VERSION_FIRST = 0x0300, VERSION_LAST = 0x0304 };

bool hello_name(struct bytes extension, struct str *out)
{
    struct rd r = rd_over(extension);
    size_t list = rd_u16(&r);
    bool whole = list == r.left.n;
    uint8_t type = rd_u8(&r);
    uint16_t length = rd_u16(&r);
    struct bytes name = rd_bytes(&r, length);

    if (r.bad || !whole || type != HOST_NAME || name.n == 0)
        return false;
    *out = str_of((const char *)name.p, name.n);
    return true;
}

bool hello_has_protocol(struct bytes extension, struct bytes protocol)
{
    struct rd r = rd_over(extension);

    if (rd_u16(&r) != r.left.n)
        return false;
    while (!r.bad && r.left.n > 0) {
        uint8_t length = rd_u8(&r);
        struct bytes one = rd_bytes(&r, length);
        if (!r.bad && bytes_equal(one, protocol))
            return true;
    }
    return false;
}

void hello_versions(struct bytes extension, uint16_t *min, uint16_t *max)
{
    struct rd r = rd_over(extension);
    uint8_t list = rd_u8(&r);

    for (uint8_t i = 0; i + 1 < list; i = (uint8_t)(i + 2)) {
        uint16_t version = rd_u16(&r);
        if (r.bad)
            return;
        if (version < VERSION_FIRST || version > VERSION_LAST)
            continue;
        if (version > *max)
            *max = version;
        if (!*min || version < *min)
            *min = version;
    }
}
