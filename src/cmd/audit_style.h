/** The style sheet of the audit's page, src/cmd/audit.css, as a text. */
#ifndef PGSEAL_CMD_AUDIT_STYLE_H
#define PGSEAL_CMD_AUDIT_STYLE_H

extern const char audit_style[];

#endif
