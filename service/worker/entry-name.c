/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of archive entries: normalised, confined, bounded. */
#include "worker/entry-name.h"

#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <string.h>

int entry_name_clean(const char *name, const struct limits *limits, const char *what, char **ret, struct failure *f) {
        g_autoptr(GString) s = g_string_new(NULL);
        const char *p = name;
        uint64_t depth = 0;

        if (!*name)
                return failf(f, -EINVAL, FAILURE_UNSUPPORTED, "%s with an empty name", what);
        for (;;) {
                size_t len;

                p += strspn(p, "/");
                if (!*p)
                        break;
                len = strcspn(p, "/");
                if (len == 2 && memcmp(p, "..", 2) == 0)
                        return failf(
                                f, -EINVAL, FAILURE_UNSUPPORTED, "%s \"%.200s\" leads out of the image", what, name);
                if (len > limits->name)
                        return failf(f, -E2BIG, FAILURE_LIMIT,
                                "%s \"%.200s\": a name is longer than %" PRIu64 " bytes (limit \"name\")", what, name,
                                limits->name);
                if (len != 1 || *p != '.') {
                        if (++depth > limits->depth)
                                return failf(f, -E2BIG, FAILURE_LIMIT,
                                        "%s \"%.200s\" is deeper than %" PRIu64 " names (limit \"depth\")", what,
                                        name, limits->depth);
                        if (s->len > 0)
                                g_string_append_c(s, '/');
                        g_string_append_len(s, p, (gssize) len);
                }
                p += len;
        }
        *ret = g_string_free(g_steal_pointer(&s), FALSE);
        return 0;
}
