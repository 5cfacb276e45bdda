#include "cmd/driver_option.h"

#include "cmd/usage.h"

int cmd_read_driver(const struct cmd *cmd, enum cmd_opt option, enum pasted_driver *driver)
{
    const char *word = cmd_value(cmd, option);

    if (word && !pasted_driver_find(str_c(word), driver))
        return cmd_usage(cmd,
                         "--driver does not know \"%s\": docs/checks.md lists the drivers, and a version is "
                         "written as in node@8.2",
                         word);
    return -1;
}
