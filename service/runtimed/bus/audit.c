/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes the audit lines. */
#include "bus/audit.h"

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <syslog.h>
#include <systemd/sd-journal.h>

/* What the call was about, in words. */
static char *describe_object(const Call *c) {
        g_autofree char *job = c->subject == SUBJECT_JOB ? g_strdup_printf("job %u", c->job) : NULL;
        const char *object = c->vm_name        ? c->vm_name
                             : job             ? job
                             : c->image_id     ? c->image_id
                             : c->detail_image ? c->detail_image
                                               : "";

        return g_strescape(object, NULL);
}

void audit_log(const Call *c, const char *answer, const char *error) {
        g_autofree char *object = describe_object(c), *user = bus_user_name(c->uid);
        g_autoptr(GString) actions = g_string_new(NULL);

        for (size_t i = 0; i < c->n_actions; i++)
                g_string_append_printf(actions, "%s" ACTION_PREFIX "%s", i ? " " : "", c->actions[i]);
        (void) sd_journal_send("MESSAGE_ID=" AUDIT_MESSAGE_ID, "PRIORITY=%i", LOG_NOTICE,
                "MESSAGE=%s.%s '%s' by uid %u (%s): %s%s%s", c->row->interface, c->row->member, object, c->uid, user,
                answer, error ? ", " : "", error ?: "", "MCP_METHOD=%s.%s", c->row->interface, c->row->member,
                "MCP_OBJECT=%s", object, "MCP_ACTION=%s", actions->str, "MCP_ANSWER=%s", answer, "MCP_ERROR=%s",
                error ?: "", "MCP_CALLER_UID=%u", c->uid, "MCP_CALLER_USER=%s", user, "MCP_CALLER_PID=%u", c->pid,
                "MCP_CALLER_BUS_NAME=%s", sd_bus_message_get_sender(c->message), NULL);
}
