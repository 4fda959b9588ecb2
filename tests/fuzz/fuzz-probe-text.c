/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What probes read of others: notifications, answers of servers; and the search of consoles, where any text may be the
 * pattern. */
#include <stdlib.h>
#include <string.h>

#include "shared/probe-text.h"
#include "shared/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void search(const char *pattern, const uint8_t *text, size_t len) {
        struct pattern p;
        uint64_t whole = 0, pieces = 0;
        size_t i = 0;
        bool found;

        if (!pattern_compile(pattern, &p))
                return;
        found = pattern_search(&p, &whole, text, len);
        while (i < len && !pattern_search(&p, &pieces, text + i, 1))
                i++;
        if (found != (i < len))
                abort();
}

/* The first line is the pattern, the plan; the rest is what is read. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char *text = malloc(size + 1), *end;
        struct notification said;
        struct probe_plan plan;
        int status;

        if (!text)
                return 0;
        memcpy(text, data, size);
        text[size] = 0;
        notification_parse(text, size, &said);
        if (said.ready && !memmem(text, size, "READY=1", 7))
                abort();
        status = http_status(text, size);
        if (status < -1 || status > 999 || (status == 0 && size >= HTTP_STATUS_LINE_MIN))
                abort();
        end = memchr(text, '\n', size);
        if (end) {
                *end = 0;
                search(text, data + (end + 1 - text), size - (size_t) (end + 1 - text));
        }
        if (probe_plan_parse(text, &plan) && (plan.interval < PROBE_TIME_MIN || plan.interval > PROBE_TIME_MAX))
                abort();
        free(text);
        return 0;
}
