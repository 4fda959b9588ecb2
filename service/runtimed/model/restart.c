/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When a VM boots again by itself. */
#include "model/restart.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#define ON_FAILURE "on-failure"

int restart_policy_parse(const char *text, RestartPolicy *ret) {
        guint64 max = 0;

        if (strcmp(text, "no") == 0)
                *ret = (RestartPolicy){.mode = RESTART_NO};
        else if (strcmp(text, "always") == 0)
                *ret = (RestartPolicy){.mode = RESTART_ALWAYS};
        else if (strcmp(text, "unless-stopped") == 0)
                *ret = (RestartPolicy){.mode = RESTART_UNLESS_STOPPED};
        else if (strcmp(text, ON_FAILURE) == 0)
                *ret = (RestartPolicy){.mode = RESTART_ON_FAILURE};
        else if (g_str_has_prefix(text, ON_FAILURE ":") &&
                 g_ascii_string_to_unsigned(text + strlen(ON_FAILURE ":"), 10, 1, RESTART_MAX, &max, NULL))
                *ret = (RestartPolicy){.mode = RESTART_ON_FAILURE, .max = (uint32_t) max};
        else
                return -EINVAL;
        return 0;
}

/* A guest that ended well: exit code 0, or its own power-off. */
static bool is_success(ExitReason reason, int code) {
        return (reason == EXIT_GUEST_EXIT && code == 0) || reason == EXIT_POWERED_OFF;
}

bool restart_policy_applies(const RestartPolicy *p, ExitReason reason, int code, uint32_t count) {
        if (reason == EXIT_KILLED)
                return false;
        switch (p->mode) {
        case RESTART_ON_FAILURE:
                return !is_success(reason, code) && (p->max == 0 || count < p->max);
        case RESTART_ALWAYS:
        case RESTART_UNLESS_STOPPED:
                return true;
        default:
                return false;
        }
}

bool restart_policy_with_host(const RestartPolicy *p, bool wanted) {
        return p->mode == RESTART_ALWAYS || (p->mode == RESTART_UNLESS_STOPPED && wanted);
}

uint64_t restart_delay(uint32_t n) {
        /* 2^10 times the least is above the most. */
        return n >= 10 ? RESTART_DELAY_MAX : MIN(RESTART_DELAY_MIN << n, RESTART_DELAY_MAX);
}
