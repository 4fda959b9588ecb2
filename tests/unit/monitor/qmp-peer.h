/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A QMP client on a socket pair, for the tests that play its peer: what it was told, counted. */
#include <sys/socket.h>

#include "monitor/qmp.h"
#include "shared/fd.h"
#include "unit.h"

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"

static struct {
        sd_event *event;
        struct qmp *qmp;
        int peer, ours; /* ours: of the client */
        unsigned ready, events, gone, replies;
        int gone_error, reply_error;
        char last_event[64], reply_text[128];
} t;

static void on_ready(void *userdata) {
        t.ready++;
}

static void on_event(void *userdata, const char *name, const json_t *data) {
        t.events++;
        (void) snprintf(t.last_event, sizeof t.last_event, "%s", name);
}

static void on_gone(void *userdata, int error) {
        t.gone++;
        t.gone_error = error;
}

static void on_reply(void *userdata, int error, const char *text, const json_t *value) {
        t.replies++;
        t.reply_error = error;
        (void) snprintf(t.reply_text, sizeof t.reply_text, "%s", text ? text : "");
}

static const struct qmp_ops ops = {.ready = on_ready, .event = on_event, .gone = on_gone};

static int setup(void **state) {
        int pair[2];

        memset(&t, 0, sizeof t);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
        assert_int_equal(sd_event_new(&t.event), 0);
        t.peer = pair[1];
        t.ours = pair[0];
        assert_int_equal(qmp_new(t.event, pair[0], &ops, NULL, &t.qmp), 0);
        return 0;
}

static int teardown(void **state) {
        qmp_free(t.qmp);
        sd_event_unref(t.event);
        (void) close_fd(t.peer);
        return 0;
}
