/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ReadLog and OpenLog with each of their options, and what a reader who follows sees of the end of a boot and of the daemon. */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "shared/fd.h"

#define WEB ROOT "/vm/web"
#define MONITOR "mcp-vm@web.service"
#define STREAMS_MAX 32U

/* Two boots, as a monitor writes them, in two segments. */
#define FIRST "1 1000 1 p one\n2 2000 1 k two\n3 3000 1 m three\n"
#define SECOND "4 4000 2 p four\n5 5000 2 p five\n"

static void create_web(Rig *r) {
        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", "web", 3, "Image", "s", REFERENCE,
                "Accelerator", "s", "tcg", "Network", "s", "none");

        assert_good(reply);
}

static void start_web(Rig *r, unsigned job) {
        g_autoptr(sd_bus_message) reply = rig_call(r, WEB, VM, "Start", "a{sv}", 0);
        g_autofree char *removed = g_strdup_printf("JobRemoved %u " ROOT "/job/%u done", job, job);

        assert_good(reply);
        until(r, trace_has(r, removed));
}

/* As the monitor does: into the file that is there. */
static void append(Rig *r, const char *segment, const char *text) {
        g_autofree char *path = g_build_filename(r->dir, "state/vms/web", segment, NULL);
        _cleanup_close_ int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t) strlen(text));
}

typedef struct Reader {
        int fd;
        GString *text;
        bool ended;
} Reader;

static void reader_free(Reader *l) {
        (void) close_fd(l->fd);
        (void) g_string_free(l->text, TRUE);
        g_free(l);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Reader, reader_free)

static Reader *reader_new(sd_bus_message *reply) {
        Reader *l = g_new0(Reader, 1);
        int fd = -1;

        assert_good(reply);
        assert_true(sd_bus_message_read(reply, "h", &fd) >= 0);
        l->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        l->text = g_string_new(NULL);
        assert_true(fcntl(l->fd, F_SETFL, O_NONBLOCK) == 0);
        return l;
}

static bool take(Reader *l) {
        char buffer[4096];
        ssize_t n;

        while ((n = read(l->fd, buffer, sizeof buffer)) > 0)
                (void) g_string_append_len(l->text, buffer, n);
        l->ended = l->ended || n == 0;
        return true;
}

static bool has_ended(Reader *l) {
        return take(l) && l->ended;
}

static bool has(Reader *l, const char *text) {
        return take(l) && strstr(l->text->str, text);
}

#define assert_log(r, wanted, ...)                                                                                     \
        do {                                                                                                           \
                g_autoptr(sd_bus_message) log_reply = rig_call(r, WEB, VM, "OpenLog", "a{sv}", __VA_ARGS__);           \
                g_autoptr(Reader) log_reader = reader_new(log_reply);                                                  \
                                                                                                                       \
                until(r, has_ended(log_reader));                                                                       \
                assert_string_equal(log_reader->text->str, wanted);                                                    \
        } while (0)

static void test_options(void **state) {
        Rig *r = *state;

        create_web(r);
        assert_log(r, "", 0); /* there is none yet */
        rig_write(r, "state/vms/web/log0", FIRST);
        rig_write(r, "state/vms/web/log1", SECOND);
        assert_log(r, "one\ntwo\nthree\nfour\nfive\n", 0);
        assert_log(r, "one\ntwo\nthree\n", 1, "boot", "u", 1);
        assert_log(r, "four\nfive\n", 1, "boot", "u", 2);
        assert_log(r, "", 1, "boot", "u", 3);
        assert_log(r, "three\nfour\nfive\n", 1, "tail", "t", (uint64_t) 3);
        assert_log(r, "", 1, "tail", "t", (uint64_t) 0);
        assert_log(r, "one\ntwo\nthree\nfour\nfive\n", 1, "tail", "t", (uint64_t) 100);
        assert_log(r, "two\nthree\n", 2, "tail", "t", (uint64_t) 2, "boot", "u", 1);
        assert_log(r, "four\nfive\n", 2, "tail", "t", (uint64_t) 4, "boot", "u", 2);
        assert_log(r, "three\nfour\nfive\n", 1, "since", "t", (uint64_t) 3000);
        assert_log(r, "four\nfive\n", 1, "since", "t", (uint64_t) 3001);
        assert_log(r, "", 1, "since", "t", (uint64_t) 5001);
        assert_log(r, "two\nthree\n", 2, "since", "t", (uint64_t) 1500, "boot", "u", 1);
        assert_log(r, "five\n", 2, "since", "t", (uint64_t) 1, "tail", "t", (uint64_t) 1); /* as its documentation says */
        assert_log(r, "4000 four\n5000 five\n", 2, "boot", "u", 2, "timestamps", "b", 1);
        assert_log(r, "one\ntwo\nthree\nfour\nfive\n", 1, "follow", "b", 1); /* nothing runs: nothing more will come */
}

static uint64_t page(Rig *r, uint64_t cursor, uint32_t lines, GString *ret) {
        g_autoptr(sd_bus_message) reply = rig_call(r, WEB, VM, "ReadLog", "tu", cursor, lines);
        uint64_t time, next;
        const char *text;
        uint32_t boot;

        assert_good(reply);
        (void) g_string_truncate(ret, 0);
        assert_true(sd_bus_message_enter_container(reply, 'a', "(tus)") >= 0);
        while (sd_bus_message_read(reply, "(tus)", &time, &boot, &text) > 0)
                g_string_append_printf(ret, "%u %s|", boot, text);
        assert_true(sd_bus_message_exit_container(reply) >= 0);
        assert_true(sd_bus_message_read(reply, "t", &next) >= 0);
        return next;
}

static void test_pages(void **state) {
        g_autoptr(GString) text = g_string_new(NULL), many = g_string_new(NULL);
        Rig *r = *state;
        uint64_t next;
        unsigned n = 0;

        create_web(r);
        assert_int_equal(page(r, 0, 10, text), 0);
        assert_string_equal(text->str, "");
        rig_write(r, "state/vms/web/log0", FIRST);
        rig_write(r, "state/vms/web/log1", SECOND);
        next = page(r, 0, 2, text);
        assert_string_equal(text->str, "1 one|1 two|");
        next = page(r, next, 2, text);
        assert_string_equal(text->str, "1 three|2 four|");
        next = page(r, next, 2, text);
        assert_string_equal(text->str, "2 five|");
        assert_int_equal(page(r, next, 2, text), next);
        assert_string_equal(text->str, "");
        assert_int_equal(page(r, UINT64_MAX, 2, text), UINT64_MAX);
        assert_string_equal(text->str, "");
        for (unsigned i = 6; i < 1506; i++)
                g_string_append_printf(many, "%u %u 3 p x\n", i, i * 1000);
        rig_write(r, "state/vms/web/log2", many->str);
        (void) page(r, 0, 5000, text);
        for (const char *p = text->str; (p = strchr(p, '|')); p++)
                n++;
        assert_int_equal(n, 1000);
}

static void test_follow(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) reply = NULL, tail = NULL;
        g_autoptr(Reader) all = NULL, last = NULL;

        create_web(r);
        start_web(r, 1);
        append(r, "log0", "1 1000 1 p before\n2 2000 1 p last\n");
        reply = rig_call(r, WEB, VM, "OpenLog", "a{sv}", 1, "follow", "b", 1);
        tail = rig_call(r, WEB, VM, "OpenLog", "a{sv}", 2, "follow", "b", 1, "tail", "t", (uint64_t) 1);
        all = reader_new(reply);
        last = reader_new(tail);
        until(r, has(all, "last\n") && has(last, "last\n"));
        append(r, "log0", "3 3000 1 p new\n4 4000 1 p ha");
        until(r, has(all, "new\n") && has(last, "new\n"));
        append(r, "log0", "lf\n");
        until(r, has(all, "half\n") && has(last, "half\n"));
        append(r, "log1", "5 5000 1 p another segment\n");
        until(r, has(all, "another segment\n"));
        assert_false(has_ended(all));
        append(r, "log1", "6 6000 1 p its last word\n");
        fake_exited(fake_find(r, MONITOR), "guest-exit", 0);
        until(r, has_ended(all) && has_ended(last));
        assert_string_equal(all->text->str, "before\nlast\nnew\nhalf\nanother segment\nits last word\n");
        assert_string_equal(last->text->str, "last\nnew\nhalf\nanother segment\nits last word\n");
}

/* A boot that is over says nothing more, whatever runs now. */
static void test_follow_former_boot(void **state) {
        Rig *r = *state;

        create_web(r);
        start_web(r, 1);
        append(r, "log0", "1 1000 1 p first\n");
        fake_exited(fake_find(r, MONITOR), "guest-exit", 0);
        rig_settle(r);
        start_web(r, 2);
        append(r, "log0", "2 2000 2 p second\n");
        assert_log(r, "first\n", 2, "follow", "b", 1, "boot", "u", 1);
}

/* Whoever follows sees the end of the daemon as an end, and finds the rest with the next one. */
static void follow_over(Rig *r, int sig) {
        g_autoptr(sd_bus_message) reply = NULL, rest = NULL;
        g_autoptr(Reader) reader = NULL, again = NULL;

        create_web(r);
        start_web(r, 1);
        append(r, "log0", "1 1000 1 p one\n");
        reply = rig_call(r, WEB, VM, "OpenLog", "a{sv}", 1, "follow", "b", 1);
        reader = reader_new(reply);
        until(r, has(reader, "one\n"));
        rig_stop_daemon(r, sig);
        until(r, has_ended(reader));
        assert_string_equal(reader->text->str, "one\n");
        append(r, "log0", "2 2000 1 p meanwhile\n");
        rig_start_daemon(r);
        (void) fake_connect(r, MONITOR, json_pack("{s:i, s:s, s:i, s:i, s:i}", "boot", 1, "state", "running", "pid", 4711, "started", 1, "ready", 1));
        rig_settle(r);
        rest = rig_call(r, WEB, VM, "OpenLog", "a{sv}", 2, "follow", "b", 1, "since", "t", (uint64_t) 1001);
        again = reader_new(rest);
        until(r, has(again, "meanwhile\n"));
        append(r, "log0", "3 3000 1 p afterwards\n");
        until(r, has(again, "afterwards\n"));
        assert_false(has_ended(again));
        assert_string_equal(again->text->str, "meanwhile\nafterwards\n");
}

static void test_follow_over_restart(void **state) {
        follow_over(*state, SIGTERM);
}

static void test_follow_over_death(void **state) {
        follow_over(*state, SIGKILL);
}

static void test_follow_removed(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) reply = NULL, removal = NULL;
        g_autoptr(Reader) reader = NULL;

        create_web(r);
        start_web(r, 1);
        reply = rig_call(r, WEB, VM, "OpenLog", "a{sv}", 1, "follow", "b", 1);
        reader = reader_new(reply);
        removal = rig_call(r, WEB, VM, "Remove", "a{sv}", 0);
        assert_good(removal);
        until(r, has_ended(reader));
}

/* An ephemeral VM goes with its end, and its log with it: who reads it reads it all, however slowly. */
static void test_follow_ephemeral(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) run = NULL, reply = NULL;
        g_autoptr(GString) much = g_string_new(NULL);
        g_autoptr(Reader) reader = NULL;
        unsigned last = 4000;

        run = rig_call(r, ROOT, MANAGER, "RunVM", "sa{sv}", "web", 4, "Image", "s", REFERENCE, "Accelerator", "s",
                "tcg", "Network", "s", "none", "Ephemeral", "b", 1);
        assert_good(run);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        for (unsigned i = 1; i <= last; i++)
                g_string_append_printf(much, "%u 1000 1 p this is line number %u of what a program says\n", i, i);
        append(r, "log0", much->str);
        reply = rig_call(r, WEB, VM, "OpenLog", "a{sv}", 1, "follow", "b", 1);
        fake_exited(fake_find(r, MONITOR), "guest-exit", 0);
        until(r, trace_has(r, "VMRemoved web"));
        reader = reader_new(reply);
        until(r, has_ended(reader));
        assert_non_null(strstr(reader->text->str, "line number 4000 of"));
}

/* Whoever follows from the first moment on sees the first line, though there is no log yet. */
static void test_follow_before_the_log(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) start = NULL, reply = NULL;
        g_autoptr(Reader) reader = NULL;
        FakeHelper *worker;

        create_web(r);
        r->play[KIND_WORKER] = play_nothing; /* makes the initrd, not yet */
        start = rig_call(r, WEB, VM, "Start", "a{sv}", 0);
        assert_good(start);
        until(r, fake_heard(worker = r->helpers->pdata[r->helpers->len - 1], "launch") && worker->kind == KIND_WORKER);
        assert_property(r, WEB, VM, "State", "preparing");
        assert_false(rig_has(r, "state/vms/web/log0"));
        reply = rig_call(r, WEB, VM, "OpenLog", "a{sv}", 1, "follow", "b", 1);
        reader = reader_new(reply);
        r->play[KIND_WORKER] = play_worker;
        play_worker(worker, worker->launch);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        append(r, "log0", "1 1000 1 p its first word\n");
        until(r, has(reader, "its first word\n"));
}

/* So many for a user who is not root; one that was closed makes room. */
static void test_streams_limit(void **state) {
        g_autoptr(GPtrArray) readers = g_ptr_array_new_with_free_func((GDestroyNotify) reader_free);
        Rig *r = *state;

        create_web(r);
        start_web(r, 1);
        for (unsigned i = 0; i < STREAMS_MAX; i++) {
                g_autoptr(sd_bus_message) reply = rig_call(r, WEB, VM, "OpenLog", "a{sv}", 1, "follow", "b", 1);

                g_ptr_array_add(readers, reader_new(reply));
        }
        {
                g_autoptr(sd_bus_message) more = rig_call(r, WEB, VM, "OpenLog", "a{sv}", 1, "follow", "b", 1);

                if (r->uid == 0)
                        assert_good(more);
                else
                        assert_error(more, ERROR("QuotaExceeded"));
        }
        g_ptr_array_set_size(readers, STREAMS_MAX - 1);
        rig_settle(r);
        {
                g_autoptr(sd_bus_message) more = rig_call(r, WEB, VM, "OpenLog", "a{sv}", 1, "follow", "b", 1);

                assert_good(more);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_options, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_pages, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_follow, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_follow_former_boot, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_follow_ephemeral, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_follow_before_the_log, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_follow_over_restart, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_follow_over_death, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_follow_removed, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_streams_limit, rig_setup, rig_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
