#include "cmd/driver_option.h"

#include "cmd/usage.h"

int cmd_read_driver(const struct cmd *cmd, enum cmd_opt option, enum pasted_driver *driver)
{
    const char *word = cmd_value(cmd, option);

    if (word && !pasted_driver_find(str_c(word), driver))
        return cmd_usage(cmd,
                         "--driver takes a driver of docs/checks.md, with a version as in node@8.2, not "
                         "\"%s\"",
                         word);
    return -1;
}
