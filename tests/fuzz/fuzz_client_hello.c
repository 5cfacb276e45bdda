/* Bodies of a ClientHello's extensions: the first byte says which. */
#include "fuzz.h"
#include "tls/hello_ext.h"

static void check_versions(struct bytes extension)
{
    uint16_t min = 0, max = 0x0301;

    hello_versions(extension, &min, &max);
    CHECK(max >= 0x0301 && max <= 0x0304 && min <= max);
    CHECK(min == 0 || min >= 0x0300);
}

static void check_name(struct bytes extension)
{
    struct str name = STR("");

    if (!hello_name(extension, &name))
        return;
    const uint8_t *p = (const uint8_t *)name.p;
    CHECK(name.n > 0 && p > extension.p && p + name.n <= extension.p + extension.n);
}

static void check_protocols(struct bytes extension)
{
    static const uint8_t wanted[] = "pgseal-cancel";
    const struct bytes protocol = bytes_of(wanted, sizeof wanted - 1);

    if (hello_has_protocol(extension, protocol))
        CHECK(memmem(extension.p, extension.n, wanted, protocol.n) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct bytes extension = bytes_of(data + 1, size - 1);
    if (data[0] % 3 == 0)
        check_name(extension);
    else if (data[0] % 3 == 1)
        check_protocols(extension);
    else
        check_versions(extension);
    return 0;
}
