/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The texts of probes: what the daemon asks for, what a program notifies, what a server is asked and how it answers. */

enum probe_kind {
        PROBE_NONE,    /* "": not asked for */
        PROBE_MESSAGE, /* the program says it, by sd_notify(3) */
        PROBE_CONSOLE, /* a pattern in what it prints: the monitor's, in no text here */
        PROBE_TCP,     /* a port takes connections */
        PROBE_HTTP,    /* a page is answered with a status from 200 to 399 */
        PROBE_KIND_MAX,
        PROBE_KIND_INVALID = -1,
};

/* Microseconds: of the interval and the time limit, so that probes cost next to nothing. */
#define PROBE_TIME_MIN 100000U
#define PROBE_TIME_MAX 3600000000U
#define PROBE_PATH_MAX 512U

struct probe_plan {
        enum probe_kind kind;
        uint16_t port;
        uint64_t interval, timeout; /* microseconds */
        const char *path;           /* of http */
};

/* "KIND PORT INTERVAL TIMEOUT[ PATH]"; the path points into text. False for anything else. */
bool probe_plan_parse(const char *text, struct probe_plan *ret);

/* What a datagram of sd_notify(3) says that matters here; other assignments are passed over. */
struct notification {
        bool ready;    /* READY=1 */
        bool watchdog; /* WATCHDOG=1 */
};

void notification_parse(const char *text, size_t len, struct notification *ret);

/* Asks a server for the path: writes the request to ret and returns its length. */
#define HTTP_REQUEST_MAX (PROBE_PATH_MAX + 128U)
size_t http_request(const char *path, char ret[HTTP_REQUEST_MAX]);

/* The status of an HTTP response that begins with these bytes; 0: more of them are needed, -1: it is none. */
int http_status(const char *text, size_t len);
#define HTTP_STATUS_LINE_MIN 12U /* "HTTP/1.1 200" */
