#include "cmd/number_option.h"

#include "cmd/table.h"

enum code cmd_read_number(const struct cmd *cmd, enum cmd_opt option, uint32_t max, uint32_t *out,
                          struct err *e)
{
    const char *text = cmd_value(cmd, option);
    const struct option_row *row = option_rows;

    if (!text || str_to_u32(str_c(text), 1, max, out))
        return OK;
    while (row->id != option)
        row++;
    return err_set(e, E_USAGE, "--%s takes a number from 1 to %u", row->long_name, max);
}
