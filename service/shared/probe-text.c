/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parsers of probes. */
#include "shared/probe-text.h"

#include <stdio.h>
#include <string.h>

/* Digits up to a blank or the end; moves on behind the blank. */
static bool take_number(const char **text, uint64_t max, uint64_t *ret) {
        const char *p = *text;
        uint64_t n = 0;

        for (; *p >= '0' && *p <= '9'; p++) {
                n = n * 10 + (uint64_t) (*p - '0');
                if (n > max)
                        return false;
        }
        if (p == *text || (*p && *p != ' '))
                return false;
        *text = *p ? p + 1 : p;
        *ret = n;
        return true;
}

static bool take_kind(const char **text, enum probe_kind *ret) {
        static const struct {
                const char *name;
                enum probe_kind kind;
        } kinds[] = {{"message ", PROBE_MESSAGE}, {"tcp ", PROBE_TCP}, {"http ", PROBE_HTTP}};

        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
                if (strncmp(*text, kinds[i].name, strlen(kinds[i].name)) == 0) {
                        *text += strlen(kinds[i].name);
                        *ret = kinds[i].kind;
                        return true;
                }
        return false;
}

static bool path_is_valid(const char *path) {
        for (const char *c = path; *c; c++)
                if (*c <= ' ' || *c > '~')
                        return false;
        return path[0] == '/' && strlen(path) <= PROBE_PATH_MAX;
}

bool probe_plan_parse(const char *text, struct probe_plan *ret) {
        struct probe_plan plan = {};
        uint64_t port;

        if (!take_kind(&text, &plan.kind) || !take_number(&text, UINT16_MAX, &port) ||
                !take_number(&text, PROBE_TIME_MAX, &plan.interval) ||
                !take_number(&text, PROBE_TIME_MAX, &plan.timeout))
                return false;
        if (plan.interval < PROBE_TIME_MIN || plan.timeout < PROBE_TIME_MIN)
                return false;
        if (plan.kind == PROBE_HTTP ? !path_is_valid(text) : *text != 0)
                return false;
        if (plan.kind != PROBE_MESSAGE && port == 0)
                return false;
        plan.port = (uint16_t) port;
        plan.path = text;
        *ret = plan;
        return true;
}

static bool line_is(const char *line, size_t len, const char *wanted) {
        return len == strlen(wanted) && memcmp(line, wanted, len) == 0;
}

void notification_parse(const char *text, size_t len, struct notification *ret) {
        *ret = (struct notification){};
        while (len > 0) {
                const char *end = memchr(text, '\n', len);
                size_t n = end ? (size_t) (end - text) : len;

                ret->ready = ret->ready || line_is(text, n, "READY=1");
                ret->watchdog = ret->watchdog || line_is(text, n, "WATCHDOG=1");
                n += end ? 1 : 0;
                text += n;
                len -= n;
        }
}

size_t http_request(const char *path, char ret[HTTP_REQUEST_MAX]) {
        int n = snprintf(ret, HTTP_REQUEST_MAX,
                "GET %.*s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: mcp-runtime\r\nAccept: */*\r\nConnection: "
                "close\r\n\r\n",
                (int) PROBE_PATH_MAX, path);

        return (size_t) n;
}

int http_status(const char *text, size_t len) {
        static const char begin[] = "HTTP/";
        size_t known = sizeof(begin) - 1;
        int status = 0;

        if (memcmp(text, begin, len < known ? len : known) != 0)
                return -1;
        if (len < HTTP_STATUS_LINE_MIN)
                return 0;
        /* HTTP/1.1 200: a digit, a dot, a digit, a blank, three digits. */
        if (text[5] < '0' || text[5] > '9' || text[6] != '.' || text[7] < '0' || text[7] > '9' || text[8] != ' ')
                return -1;
        for (size_t i = 9; i < HTTP_STATUS_LINE_MIN; i++) {
                if (text[i] < '0' || text[i] > '9')
                        return -1;
                status = status * 10 + (text[i] - '0');
        }
        return status >= 100 ? status : -1;
}
