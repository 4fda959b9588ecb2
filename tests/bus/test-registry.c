/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pulls, pushes and logins, with an mcp-fetch that plays its part or does not. */
#include "rig.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/fd.h"
#include "shared/wire.h"

#define FETCH "mcp-fetch@1.service"
#define PLACE "registry.example.com/team/web"
#define SECRET "xyzzy-plugh"

static void pull(Rig *r, const char *reference) {
        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "PullImage", "sa{sv}", reference, 0);

        assert_good(reply);
}

static void assert_missing(Rig *r, const char *reference) {
        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "GetImage", "s", reference);

        assert_error(reply, ERROR("NoSuchImage"));
}

static const char *launched(Rig *r, const char *key) {
        until(r, fake_heard(fake_find(r, FETCH), "launch"));
        return json_string_value(json_object_get(fake_find(r, FETCH)->launch, key));
}

/* ---- Pull ---- */

static void test_pull(void **state) {
        Rig *r = *state;
        g_autofree char *image = g_strdup_printf(ROOT "/image/%u/" HEX2, r->uid),
                        *archive = g_strdup_printf("state/images/%u/" HEX2 ".oci", r->uid), *text = NULL;

        pull(r, PLACE ":1");
        assert_string_equal(launched(r, "op"), "pull");
        assert_string_equal(launched(r, "repository"), PLACE);
        assert_string_equal(launched(r, "registry"), "registry.example.com");
        assert_string_equal(launched(r, "tag"), "1");
        assert_null(launched(r, "digest"));
        assert_true(json_is_false(json_object_get(fake_find(r, FETCH)->launch, "insecure")));
        assert_int_equal(fake_fd(fake_find(r, FETCH), "credentials"), -1);
        assert_job_tidy(r, 1, "done", "", "");
        assert_property(r, image, IMAGE, "Reference", PLACE ":1");
        assert_property(r, image, IMAGE, "Sources", "[{" PLACE ":1 sha256:" HEX3 "}]");
        assert_property(r, ROOT "/job/1", JOB, "Subject", image);
        assert_property(r, ROOT "/job/1", JOB, "Kind", "pull");
        text = rig_read(r, archive);
        assert_string_equal(text, "fetched");
        assert_int_equal(unit_runs(r, FETCH), 0);
}

/* The helper resolves to the image that is there: nothing is fetched. */
static void play_known(FakeHelper *h, json_t *message) {
        if (strcmp(wire_type(message), "launch") == 0)
                fake_say(h, json_pack("{s:s, s:s, s:s, s:i}", "type", "resolved", "digest", "sha256:" HEX3, "manifest",
                                    "sha256:" HEX, "size", 7));
}

static void test_known(void **state) {
        Rig *r = *state;
        g_autofree char *image = g_strdup_printf(ROOT "/image/%u/" HEX, r->uid);

        r->play[KIND_FETCH] = play_known;
        pull(r, PLACE ":1");
        assert_job_tidy(r, 1, "done", "", "");
        assert_null(fake_heard(fake_find(r, FETCH), "go"));
        assert_null(fake_find(r, "mcp-image@1.service"));
        assert_property(r, image, IMAGE, "Reference", REFERENCE);
        assert_property(r, image, IMAGE, "Sources", "[{" PLACE ":1 sha256:" HEX3 "}]");
        rig_stop_daemon(r, SIGTERM);
        rig_start_daemon(r);
        assert_property(r, image, IMAGE, "Sources", "[{" PLACE ":1 sha256:" HEX3 "}]");
        pull(r, PLACE "@sha256:" HEX3); /* what was followed once need not be again */
        assert_job_tidy(r, 1, "done", "", "");
}

/* A digest in the reference counts, whatever the helper and the worker say. */
static void test_digests(void **state) {
        Rig *r = *state;

        pull(r, PLACE "@sha256:" HEX);
        assert_job_tidy(r, 1, "failed", ERROR("DigestMismatch"), HEX3);
        pull(r, PLACE ":1@sha256:" HEX3);
        assert_job_tidy(r, 2, "done", "", "");
        r->play[KIND_FETCH] = play_known; /* its manifest is here, and nobody saw that the index leads to it */
        pull(r, PLACE "/other@sha256:" HEX3);
        until(r, fake_heard(fake_find(r, "mcp-fetch@3.service"), "go"));
}

static void play_other(FakeHelper *h, json_t *message) {
        if (strcmp(wire_type(message), "launch") == 0)
                fake_say(h, json_pack("{s:s, s:s, s:s, s:i}", "type", "resolved", "digest", "sha256:" HEX, "manifest",
                                    "sha256:" HEX2, "size", 7));
        else
                play_fetch(h, message);
}

/* The worker follows the digests from the index, and does not come by the one that the helper named. */
static void test_not_followed(void **state) {
        Rig *r = *state;

        r->play[KIND_FETCH] = play_other;
        pull(r, PLACE ":1");
        assert_job_tidy(r, 1, "failed", ERROR("DigestMismatch"), HEX);
        assert_missing(r, PLACE ":1");
}

/* ---- What a helper may say ---- */

static const char *const hostile[] = {
        "{\"type\":\"resolved\"}",
        "{\"type\":\"resolved\",\"digest\":\"sha256:x\",\"manifest\":\"sha256:" HEX "\",\"size\":1}",
        "{\"type\":\"resolved\",\"digest\":\"sha256:" HEX "\",\"manifest\":\"../../x\",\"size\":1}",
        "{\"type\":\"resolved\",\"digest\":\"sha256:" HEX2 "\",\"manifest\":\"sha256:" HEX2 "\",\"size\":-1}",
        "{\"type\":\"resolved\",\"digest\":1,\"manifest\":[],\"size\":\"x\"}",
        "{\"type\":\"resolved\",\"digest\":\"sha256:" HEX2 "\",\"manifest\":\"sha256:" HEX2
        "\",\"size\":1,\"artifact\":\"x/y\"}",
        "{\"type\":\"failed\",\"error\":\"NoSuchVM\",\"message\":\"a\\u001b[31mb\"}", "{\"type\":\"failed\"}",
        "{\"type\":\"done\"}", /* before anything: there is nothing to import */
};
static unsigned hostile_now;

static void play_hostile(FakeHelper *h, json_t *message) {
        if (strcmp(wire_type(message), "launch") == 0)
                fake_say_text(h, hostile[hostile_now], strlen(hostile[hostile_now]));
}

static void play_broken_import(FakeHelper *h, json_t *message) {
        fake_say(h,
                json_pack("{s:s, s:s, s:s}", "type", "failed", "error", "UnsupportedImage", "message", "it is empty"));
}

static void test_hostile_helper(void **state) {
        Rig *r = *state;

        r->play[KIND_FETCH] = play_hostile;
        r->play[KIND_WORKER] = play_broken_import;
        for (hostile_now = 0; hostile_now < G_N_ELEMENTS(hostile); hostile_now++) {
                g_autoptr(sd_bus_message) end = NULL;
                const char *result, *error, *text;

                pull(r, PLACE ":1");
                end = wait_job(r, hostile_now + 1);
                assert_true(sd_bus_message_read(end, "sss", &result, &error, &text) > 0);
                assert_string_equal(result, "failed");
                assert_true(
                        strcmp(error, ERROR("RegistryFailed")) == 0 || strcmp(error, ERROR("UnsupportedImage")) == 0);
                assert_null(strchr(text, 0x1b));
                rig_settle(r);
                until(r, rig_count_temporaries(r) == 0);
        }
        assert_missing(r, PLACE ":1");
        rig_assert_alive(r);
}

static void play_leave(FakeHelper *h, json_t *message) {
        fake_close(h);
}

static void test_helper_leaves(void **state) {
        Rig *r = *state;

        r->play[KIND_FETCH] = play_leave;
        pull(r, PLACE ":1");
        assert_job_tidy(r, 1, "failed", ERROR("RegistryFailed"), "without an answer");
        r->start[KIND_FETCH] = START_FAILS;
        pull(r, PLACE ":1");
        assert_job_tidy(r, 2, "failed", ERROR("RegistryFailed"), "did not start");
}

static void test_cancel(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) cancel = NULL, again = NULL;

        r->play[KIND_FETCH] = play_nothing;
        pull(r, PLACE ":1");
        until(r, fake_heard(fake_find(r, FETCH), "launch"));
        assert_int_equal(rig_count_temporaries(r), 1);
        cancel = rig_call(r, ROOT "/job/1", JOB, "Cancel", NULL);
        assert_good(cancel);
        assert_job_tidy(r, 1, "canceled", ERROR("Canceled"), "");
        assert_int_equal(unit_runs(r, FETCH), 0);
        r->play[KIND_FETCH] = play_fetch;
        r->play[KIND_WORKER] = play_nothing;
        pull(r, PLACE ":1");
        until(r, fake_heard(fake_find(r, "mcp-image@1.service"), "launch"));
        again = rig_call(r, ROOT "/job/2", JOB, "Cancel", NULL);
        assert_good(again);
        assert_job_tidy(r, 2, "canceled", ERROR("Canceled"), "");
        assert_int_equal(unit_runs(r, "mcp-image@1.service"), 0);
        assert_missing(r, PLACE ":1");
}

/* Two of a user's at once, like imports; the third waits, and can be canceled while it does. */
static void test_line(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) cancel = NULL;

        r->play[KIND_FETCH] = play_nothing;
        for (unsigned i = 0; i < 3; i++)
                pull(r, PLACE ":1");
        until(r, fake_heard(fake_find(r, "mcp-fetch@2.service"), "launch"));
        assert_property(r, ROOT "/job/3", JOB, "State", "queued");
        assert_null(fake_find(r, "mcp-fetch@3.service"));
        cancel = rig_call(r, ROOT "/job/3", JOB, "Cancel", NULL);
        assert_good(cancel);
        fake_close(fake_find(r, FETCH));
        fake_close(fake_find(r, "mcp-fetch@2.service"));
        assert_job_tidy(r, 2, "failed", ERROR("RegistryFailed"), "");
        rig_assert_alive(r);
}

static void test_daemon_killed(void **state) {
        Rig *r = *state;

        r->play[KIND_FETCH] = play_nothing;
        pull(r, PLACE ":1");
        until(r, fake_heard(fake_find(r, FETCH), "launch"));
        rig_stop_daemon(r, SIGKILL);
        rig_start_daemon(r);
        assert_missing(r, PLACE ":1");
        until(r, rig_count_temporaries(r) == 0);
}

/* ---- RunVM ---- */

static void run_web(Rig *r) {
        g_autoptr(sd_bus_message) reply = rig_call(
                r, ROOT, MANAGER, "RunVM", "sa{sv}", "web", 2, "Image", "s", PLACE ":1", "Accelerator", "s", "tcg");

        assert_good(reply);
}

static void test_run(void **state) {
        Rig *r = *state;

        run_web(r);
        assert_int_equal(r->questions->len, 2);
        assert_string_equal(((Question *) r->questions->pdata[0])->action, NAME ".run-vm");
        assert_string_equal(((Question *) r->questions->pdata[1])->action, NAME ".pull-image");
        assert_job_tidy(r, 1, "done", "", "");
        assert_property(r, ROOT "/vm/web", VM, "State", "running");
        assert_property(r, ROOT "/vm/web", VM, "ImageDigest", "sha256:" HEX2);
        assert_property(r, ROOT "/job/1", JOB, "Subject", ROOT "/vm/web");
}

static void assert_no_vm(Rig *r) {
        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "GetVM", "s", "web");

        assert_error(reply, ERROR("NoSuchVM"));
        assert_false(rig_has(r, "state/vms/web"));
}

static void test_run_fails(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) stop = NULL;

        r->play[KIND_FETCH] = play_leave;
        run_web(r);
        assert_job_tidy(r, 1, "failed", ERROR("RegistryFailed"), "");
        assert_no_vm(r);
        r->play[KIND_FETCH] = play_nothing;
        run_web(r);
        until(r, fake_heard(fake_find(r, "mcp-fetch@2.service"), "launch"));
        assert_property(r, ROOT "/vm/web", VM, "State", "preparing");
        assert_property(r, ROOT "/vm/web", VM, "ImageDigest", "");
        stop = rig_call(r, ROOT "/vm/web", VM, "Stop", "ta{sv}", (uint64_t) 0, 0);
        assert_good(stop);
        assert_job_tidy(r, 2, "canceled", ERROR("Canceled"), "");
        assert_no_vm(r);
        run_web(r);
        until(r, fake_heard(fake_find(r, "mcp-fetch@3.service"), "launch"));
        rig_stop_daemon(r, SIGKILL);
        rig_start_daemon(r);
        assert_no_vm(r);
        until(r, rig_count_temporaries(r) == 0);
}

/* CreateVM defines: its image must be there. */
static void test_create(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) create =
                rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", "web", 1, "Image", "s", PLACE ":1"),
                                  run = rig_call(r, ROOT, MANAGER, "RunVM", "sa{sv}", "web", 1, "Image", "s", "web:9");

        assert_error(create, ERROR("NoSuchImage"));
        assert_error(run, ERROR("NoSuchImage"));
        assert_int_equal(r->questions->len, 0);
}

/* ---- Push ---- */

static void test_push(void **state) {
        static const struct {
                const char *reference, *destination, *error;
        } bad[] = {
                {"no:such", PLACE ":2", ERROR("NoSuchImage")},
                {REFERENCE, "web:2", ERROR("InvalidName")},
                {REFERENCE, PLACE "@sha256:" HEX, ERROR("InvalidName")},
                {REFERENCE, "--help", ERROR("InvalidName")},
                {REFERENCE, PLACE ":2\n", ERROR("InvalidName")},
        };
        Rig *r = *state;
        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "PushImage", "ssa{sv}", REFERENCE, PLACE, 0);
        char buf[16] = {};

        assert_good(reply);
        assert_string_equal(launched(r, "op"), "push");
        assert_string_equal(launched(r, "destination"), PLACE ":latest");
        assert_string_equal(launched(r, "digest"), "sha256:" HEX);
        assert_int_equal(pread(fake_fd(fake_find(r, FETCH), "archive"), buf, sizeof buf, 0), 7);
        assert_string_equal(buf, "archive");
        assert_int_equal(fcntl(fake_fd(fake_find(r, FETCH), "archive"), F_GETFL) & O_ACCMODE, O_RDONLY);
        assert_job_tidy(r, 1, "done", "", "");
        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                g_autoptr(sd_bus_message) refused =
                        rig_call(r, ROOT, MANAGER, "PushImage", "ssa{sv}", bad[i].reference, bad[i].destination, 0);

                assert_error(refused, bad[i].error);
        }
}

/* ---- Login ---- */

static Pending *login_begin(Rig *r, sd_bus *bus, const char *registry, const char *user, int fd) {
        sd_bus_message *m = rig_message(r, bus, ROOT, MANAGER, "Login");

        assert_true(sd_bus_message_append(m, "ssha{sv}", registry, user, fd, 0) >= 0);
        return rig_send_message(r, bus, m);
}

static void login_with(
        Rig *r, const char *registry, const char *user, const char *text, size_t len, const char *error) {
        g_autoptr(Pending) p = NULL;
        int fds[2];

        assert_int_equal(pipe(fds), 0);
        assert_int_equal(write_all(fds[1], text, len), 0);
        (void) close(fds[1]);
        p = login_begin(r, r->caller, registry, user, fds[0]);
        (void) close(fds[0]);
        until(r, p->reply);
        assert_string_equal(reply_error(p->reply), error);
}

static void assert_credentials(Rig *r, const char *unit, const char *registry, const char *user_and_password) {
        g_autofree char *encoded = g_base64_encode((const guchar *) user_and_password, strlen(user_and_password)),
                        *expected = g_strdup_printf("{\"auths\":{\"%s\":{\"auth\":\"%s\"}}}", registry, encoded);
        char *text = NULL;
        int fd;

        until(r, fake_heard(fake_find(r, unit), "launch"));
        fd = fake_fd(fake_find(r, unit), "credentials");
        assert_true(fd >= 0);
        assert_true(fcntl(fd, F_GET_SEALS) & F_SEAL_WRITE);
        assert_int_equal(read_file(fd, 4096, &text, NULL), 0);
        assert_string_equal(text, expected);
        free(text);
}

static void assert_nowhere(Rig *r, const char *secret) {
        g_autofree char *log = rig_read(r, "daemon.log");
        json_t *launch = fake_find(r, FETCH) ? fake_find(r, FETCH)->launch : NULL;
        char *text = launch ? json_dumps(launch, 0) : strdup("");

        assert_null(strstr(log ?: "", secret));
        assert_null(strstr(text, secret));
        free(text);
}

static void test_login(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) out = NULL, again = NULL;

        login_with(r, "registry.example.com", "me", SECRET "\n", strlen(SECRET) + 1, "");
        r->play[KIND_FETCH] = play_nothing;
        pull(r, PLACE ":1");
        assert_credentials(r, FETCH, "registry.example.com", "me:" SECRET);
        assert_nowhere(r, SECRET);
        pull(r, "other.example.com/web:1");
        until(r, fake_heard(fake_find(r, "mcp-fetch@2.service"), "launch"));
        assert_int_equal(fake_fd(fake_find(r, "mcp-fetch@2.service"), "credentials"), -1);
        out = rig_call(r, ROOT, MANAGER, "Logout", "s", "registry.example.com");
        assert_good(out);
        again = rig_call(r, ROOT, MANAGER, "Logout", "s", "registry.example.com");
        assert_error(again, ERROR("InvalidSpec"));
}

/* The second password replaces the first, and a push uses it as well. */
static void test_login_again(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) reply = NULL;

        login_with(r, "registry.example.com", "me", "first", 5, "");
        login_with(r, "registry.example.com", "you", SECRET, strlen(SECRET), "");
        r->play[KIND_FETCH] = play_nothing;
        reply = rig_call(r, ROOT, MANAGER, "PushImage", "ssa{sv}", REFERENCE, PLACE, 0);
        assert_good(reply);
        assert_credentials(r, FETCH, "registry.example.com", "you:" SECRET);
}

static void test_bad_logins(void **state) {
        static const char *const registries[] = {"", "a/b", "a b", "a:x", "-x", "a\n", "http://a", "[::1", "a:123456"};
        static const char *const users[] = {"", "a:b", "a\nb"};
        g_autofree char *large = g_strnfill(4097, 'x'), *fits = g_strnfill(4096, 'x');
        Rig *r = *state;
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

        for (size_t i = 0; i < G_N_ELEMENTS(registries); i++)
                login_with(r, registries[i], "me", "x", 1, ERROR("InvalidSpec"));
        for (size_t i = 0; i < G_N_ELEMENTS(users); i++)
                login_with(r, "a", users[i], "x", 1, ERROR("InvalidSpec"));
        login_with(r, "a", "me", "", 0, ERROR("InvalidSpec"));
        login_with(r, "a", "me", "\n", 1, ERROR("InvalidSpec"));
        login_with(r, "a", "me", "a\nb", 3, ERROR("InvalidSpec"));
        login_with(r, "a", "me", "a\0b", 3, ERROR("InvalidSpec"));
        login_with(r, "a", "me", large, 4097, ERROR("LimitExceeded"));
        login_with(r, "a", "me", fits, 4096, "");
        {
                g_autoptr(Pending) p = login_begin(r, r->caller, "a", "me", null);

                until(r, p->reply);
                assert_string_equal(reply_error(p->reply), ERROR("InvalidSpec"));
        }
        (void) close(null);
        for (unsigned i = 0; i < 16; i++) {
                g_autofree char *registry = g_strdup_printf("r%u.example.com", i);

                login_with(r, registry, "me", "x", 1, i < 15 ? "" : ERROR("QuotaExceeded"));
        }
        login_with(r, "a", "me", "again", 5, ""); /* one that is there */
}

/* Who writes slowly, and who shares its pipe and empties it, makes nobody wait; who leaves is forgotten. */
static void test_slow_login(void **state) {
        Rig *r = *state;
        sd_bus *other = rig_connect(r);
        g_autoptr(Pending) slow = NULL, gone = NULL;
        char buf[16];
        int fds[2], pair[2];

        assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        slow = login_begin(r, r->caller, "registry.example.com", "me", fds[0]);
        rig_settle(r);
        for (unsigned i = 0; i < 200; i++) {
                assert_int_equal(write(fds[1], "x", 1), 1);
                (void) !read(fds[0], buf, sizeof buf);
                if (i % 20 == 0)
                        rig_assert_alive(r);
        }
        assert_null(slow->reply);
        assert_int_equal(write_all(fds[1], SECRET, strlen(SECRET)), 0);
        (void) close(fds[1]);
        until(r, slow->reply);
        assert_string_equal(reply_error(slow->reply), "");
        (void) close(fds[0]);

        gone = login_begin(r, other, "other.example.com", "me", pair[0]);
        (void) close(pair[0]);
        rig_settle(r);
        assert_int_equal(send(pair[1], "half", 4, MSG_NOSIGNAL), 4);
        rig_settle(r);
        g_clear_pointer(&gone, pending_free);
        sd_bus_close(other);
        sd_bus_unref(other);
        until(r, send(pair[1], "x", 1, MSG_NOSIGNAL) < 0); /* the daemon has closed its end */
        (void) close(pair[1]);
        rig_assert_alive(r);
}

#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                T(test_pull),
                T(test_known),
                T(test_digests),
                T(test_not_followed),
                T(test_hostile_helper),
                T(test_helper_leaves),
                T(test_cancel),
                T(test_line),
                T(test_daemon_killed),
                T(test_run),
                T(test_run_fails),
                T(test_create),
                T(test_push),
                T(test_login),
                T(test_login_again),
                T(test_bad_logins),
                T(test_slow_login),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
