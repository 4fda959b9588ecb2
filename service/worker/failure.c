/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reason of a job's failure: first one wins, text made safe to print. */
#include "worker/failure.h"

#include <errno.h>
#include <glib.h>
#include <stdarg.h>
#include <string.h>

/* Control characters and broken UTF-8 become '?', so a name cannot forge a log line or break the JSON. */
static char *printable(char *text) {
        char *valid;

        if (strlen(text) > FAILURE_MESSAGE_MAX)
                text[FAILURE_MESSAGE_MAX] = 0;
        for (char *p = text; *p; p++)
                if ((unsigned char) *p < 0x20 || *p == 0x7f)
                        *p = '?';
        valid = g_utf8_make_valid(text, -1);
        g_free(text);
        return valid;
}

int failf(struct failure *f, int r, const char *name, const char *format, ...) {
        va_list ap;

        if (f->name)
                return r;
        va_start(ap, format);
        f->message = printable(g_strdup_vprintf(format, ap));
        va_end(ap);
        f->name = name;
        return r;
}

bool failure_is_hosts(int r) {
        switch (-r) {
        case EMFILE:
        case ENFILE:
        case ENOMEM:
        case ENOBUFS:
        case EIO:
        case ESTALE:
        case ENOSPC:
        case EDQUOT:
                return true;
        default:
                return false;
        }
}

int fail_errno(struct failure *f, int r, const char *what) {
        switch (r) {
        case -ENOMEM:
                return failf(f, r, FAILURE_LIMIT, "%s: %s (WorkerMemoryMiB= in runtime.conf)", what, g_strerror(-r));
        case -ENOSPC:
        case -EDQUOT:
                return failf(f, r, FAILURE_SPACE, "%s: %s; make room on the host's disk, for one by removing images",
                        what, g_strerror(-r));
        case -EFBIG:
                return failf(f, r, FAILURE_SPACE, "%s: %s", what, g_strerror(-r));
        default:
                return failf(f, r, FAILURE_OTHER, "%s: %s", what, g_strerror(-r));
        }
}

void failure_clear(struct failure *f) {
        g_free(f->message);
        *f = (struct failure){};
}
