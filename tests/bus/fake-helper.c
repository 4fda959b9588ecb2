/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plays the helpers on the launch socket: monitor, image worker, passt, KVM probe. */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/fd.h"
#include "shared/launch-wire.h"
#include "shared/wire.h"

static void hang_up(FakeHelper *h) {
        sd_event_source_disable_unref(h->io);
        h->io = NULL;
        h->fd = close_fd(h->fd);
}

void fake_free(void *p) {
        FakeHelper *h = p;

        hang_up(h);
        for (size_t i = 0; i < h->n_fds; i++)
                (void) close_fd(h->fds[i]);
        json_decref(h->launch);
        g_ptr_array_unref(h->heard);
        g_free(h->unit);
        g_free(h);
}

/* The descriptors go with the process. */
void fake_close(FakeHelper *h) {
        hang_up(h);
        for (size_t i = 0; i < h->n_fds; i++)
                (void) close_fd(h->fds[i]);
        h->n_fds = 0;
}

static void take_fds(FakeHelper *h, json_t *message, const int *fds, size_t n_fds) {
        json_t *names = json_object_get(message, "fds");

        /* Those of a launch message are the first; more are answers to what was asked. */
        if (n_fds > 0 && (json_array_size(names) != n_fds || h->n_fds + n_fds > FAKE_FDS_MAX))
                g_string_append_printf(h->rig->alien, "%s got %zu descriptors for %zu names\n", h->unit, n_fds, json_array_size(names));
        for (size_t i = 0; i < n_fds && h->n_fds < FAKE_FDS_MAX; i++)
                h->fds[h->n_fds++] = fds[i];
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        FakeHelper *h = userdata;
        json_t *message = NULL;
        int fds[LAUNCH_FDS_MAX], r;
        size_t n_fds = 0;

        r = wire_recv(fd, &message, fds, &n_fds);
        if (r == -EAGAIN)
                return 0;
        if (r <= 0) {
                h->closed = true;
                hang_up(h);
                return 0;
        }
        take_fds(h, message, fds, n_fds);
        g_ptr_array_add(h->heard, message);
        if (strcmp(wire_type(message), "launch") == 0 && !h->launch)
                h->launch = json_incref(message);
        if (h->rig->play[h->kind])
                h->rig->play[h->kind](h, message);
        return 0;
}

FakeHelper *fake_connect_silent(Rig *r, const char *unit) {
        g_autofree char *path = rig_path(r, "launch");
        FakeHelper *h = g_new0(FakeHelper, 1);

        *h = (FakeHelper){.rig = r, .unit = g_strdup(unit), .kind = kind_of_unit(unit), .fd = -1};
        h->heard = g_ptr_array_new_with_free_func((GDestroyNotify) json_decref);
        g_ptr_array_add(r->helpers, h);
        g_queue_push_tail(&r->identities, user_of_unit(unit));
        h->fd = wire_open(path, SOCK_NONBLOCK);
        assert_true(h->fd >= 0);
        assert_true(sd_event_add_io(r->event, &h->io, h->fd, EPOLLIN, on_io, h) >= 0);
        return h;
}

FakeHelper *fake_connect(Rig *r, const char *unit, json_t *hello) {
        FakeHelper *h = fake_connect_silent(r, unit);

        fake_say(h, hello ?: json_pack("{s:s, s:i}", "type", "hello", "version", LAUNCH_WIRE_VERSION));
        return h;
}

/* Who is spoken to may have hung up already: that is no fault of the speaker. */
void fake_say(FakeHelper *h, json_t *message) {
        assert_non_null(message);
        if (h->fd >= 0)
                (void) wire_send_new(h->fd, message);
        else
                json_decref(message);
}

void fake_say_text(FakeHelper *h, const char *text, size_t len) {
        assert_true(send(h->fd, text, len, MSG_NOSIGNAL) == (ssize_t) len);
}

FakeHelper *fake_find(Rig *r, const char *unit) {
        for (guint i = r->helpers->len; i > 0; i--)
                if (strcmp(((FakeHelper *) r->helpers->pdata[i - 1])->unit, unit) == 0)
                        return r->helpers->pdata[i - 1];
        return NULL;
}

json_t *fake_heard(FakeHelper *h, const char *type) {
        for (guint i = h ? h->heard->len : 0; i > 0; i--)
                if (strcmp(wire_type(h->heard->pdata[i - 1]), type) == 0)
                        return h->heard->pdata[i - 1];
        return NULL;
}

int fake_fd(FakeHelper *h, const char *name) {
        json_t *value;
        size_t i;

        json_array_foreach(json_object_get(h->launch, "fds"), i, value) {
                if (i < h->n_fds && strcmp(json_string_value(value), name) == 0)
                        return h->fds[i];
        }
        return -1;
}

/* ---- Plays ---- */

void play_nothing(FakeHelper *h, json_t *message) {
}

void fake_running(FakeHelper *h) {
        fake_say(h, json_pack("{s:s, s:i, s:I, s:I}", "type", "running", "pid", 4242, "started", (json_int_t) 1700000000000000, "since",
                            (json_int_t) g_get_monotonic_time()));
}

/* The record first, then the word, then the end: as the monitor does it. */
void fake_exited(FakeHelper *h, const char *reason, int code) {
        json_t *message = json_pack("{s:s, s:s, s:i, s:I, s:s}", "type", "exited", "reason", reason, "code", code, "at",
                (json_int_t) 1700000001000000, "message", "the test says so");
        json_t *record = json_copy(message);
        int fd = fake_fd(h, "exit");
        char *text;

        (void) json_object_set_new(record, "boot", json_incref(json_object_get(h->launch, "boot")));
        text = json_dumps(record, 0);
        if (fd >= 0)
                assert_true(pwrite(fd, text, strlen(text), 0) == (ssize_t) strlen(text));
        free(text);
        json_decref(record);
        fake_say(h, message);
        fake_close(h);
}

static void reply_to(FakeHelper *h, json_t *request) {
        fake_say(h, json_pack("{s:s, s:O}", "type", "reply", "id", json_object_get(request, "id")));
}

void play_monitor(FakeHelper *h, json_t *message) {
        const char *type = wire_type(message), *signal = json_string_value(json_object_get(message, "signal"));

        if (strcmp(type, "launch") == 0) {
                fake_running(h);
                fake_say(h, json_pack("{s:s, s:[]}", "type", "ready", "picked"));
        } else if (strcmp(type, "stop") == 0) {
                reply_to(h, message);
                fake_say(h, json_pack("{s:s, s:s, s:b}", "type", "state", "state", "stopping", "asked", 1));
                fake_exited(h, "powered-off", 0);
        } else if (strcmp(type, "kill") == 0) {
                reply_to(h, message);
                if (signal && strcmp(signal, "KILL") == 0)
                        fake_exited(h, "killed", 0);
        } else if (strcmp(type, "pause") == 0 || strcmp(type, "resume") == 0) {
                fake_say(h, json_pack("{s:s, s:s}", "type", "state", "state", type[0] == 'p' ? "paused" : "running"));
                reply_to(h, message);
        }
}

void play_worker(FakeHelper *h, json_t *message) {
        const char *op = json_string_value(json_object_get(message, "op"));

        if (!op)
                return;
        if (fake_fd(h, "output") >= 0)
                assert_true(pwrite(fake_fd(h, "output"), "made", 4, 0) == 4);
        fake_say(h, json_pack("{s:s, s:f, s:s}", "type", "progress", "fraction", 0.5, "stage", op));
        if (strcmp(op, "import") == 0)
                fake_say(h, json_pack("{s:s, s:s, s:[s, s], s:s, s:s, s:i, s:{s:[s], s:[], s:[], s:s, s:s, s:s, s:[s]}}", "type", "done", "kind", "oci",
                        "chain", "sha256:" HEX3, "sha256:" HEX2, "digest", "sha256:" HEX2, "architecture", "x86_64", "size", 4, "config", "entrypoint", "/web",
                        "cmd", "env", "user", "", "workdir", "", "stop_signal", "", "ports", "80/tcp"));
        else if (strcmp(op, "hash") == 0)
                fake_say(h, json_pack("{s:s, s:s, s:i}", "type", "done", "digest", "sha256:" HEX, "size", 4));
        else
                fake_say(h, json_pack("{s:s, s:i}", "type", "done", "size", 4));
}

void play_passt(FakeHelper *h, json_t *message) {
        if (strcmp(wire_type(message), "launch") == 0)
                fake_say(h, json_pack("{s:s, s:[]}", "type", "ready", "picked"));
}

void play_probe(FakeHelper *h, json_t *message) {
        if (strcmp(wire_type(message), "launch") == 0)
                fake_say(h, json_pack("{s:s, s:b, s:s}", "type", "done", "usable", 0, "message", "there is none here"));
}

void play_fetch(FakeHelper *h, json_t *message) {
        bool push = g_strcmp0(json_string_value(json_object_get(h->launch, "op")), "push") == 0;

        if (strcmp(wire_type(message), "launch") == 0 && push)
                fake_say(h, json_pack("{s:s, s:O}", "type", "done", "digest", json_object_get(message, "digest")));
        else if (strcmp(wire_type(message), "launch") == 0)
                fake_say(h, json_pack("{s:s, s:s, s:s, s:i}", "type", "resolved", "digest", "sha256:" HEX3, "manifest",
                                    "sha256:" HEX2, "size", 7));
        else if (strcmp(wire_type(message), "go") == 0) {
                assert_true(pwrite(fake_fd(h, "archive"), "fetched", 7, 0) == 7);
                fake_say(h, json_pack("{s:s, s:f, s:s}", "type", "progress", "fraction", 0.5, "stage", "fetch"));
                fake_say(h, json_pack("{s:s, s:s, s:s, s:i}", "type", "done", "digest", "sha256:" HEX3, "manifest",
                                    "sha256:" HEX2, "size", 7));
        }
}

void play_artifact(FakeHelper *h, json_t *message) {
        bool push = g_strcmp0(json_string_value(json_object_get(h->launch, "op")), "push") == 0;

        if (strcmp(wire_type(message), "launch") == 0 && !push)
                fake_say(h, json_pack("{s:s, s:s, s:s, s:i, s:s*}", "type", "resolved", "digest", "sha256:" HEX2,
                                    "manifest", h->rig->artifact_manifest, "size", 7, "artifact", h->rig->artifact_type));
        else
                play_fetch(h, message);
}

void play_hang_up(FakeHelper *h, json_t *message) {
        fake_close(h);
}

void play_fail(FakeHelper *h, json_t *message) {
        fake_say(h, json_pack("{s:s, s:s, s:s}", "type", "failed", "error", "NoSpace", "message", "the disk is full"));
}
