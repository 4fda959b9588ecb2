/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Volumes by the real worker: trees of the host as they may be, tars, and every refusal with its path. */
#include "unit.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "archive-maker.h"
#include "image-list.h"
#include "shared/fd.h"
#include "worker-run.h"

static const char *const output_fd[] = {"output", NULL};

typedef struct Bench {
        char *root, *path; /* the only root, and what is in it */
        int output;
} Bench;

static int setup(void **state) {
        Bench *b = g_new0(Bench, 1);

        b->root = g_dir_make_tmp("volumes-XXXXXX", NULL);
        b->path = g_build_filename(b->root, "v", NULL);
        assert_int_equal(mkdir(b->path, 0755), 0);
        b->output = memfd_create("output", MFD_CLOEXEC);
        *state = b;
        return 0;
}

static int teardown(void **state) {
        Bench *b = *state;
        g_autofree char *command = g_strdup_printf("rm -rf '%s'", b->root);

        assert_true(g_spawn_command_line_sync(command, NULL, NULL, NULL, NULL));
        (void) close_fd(b->output);
        g_free(b->root);
        g_free(b->path);
        g_free(b);
        return 0;
}

static void make_file(Bench *b, const char *name, const char *text, mode_t mode) {
        g_autofree char *path = g_build_filename(b->path, name, NULL);

        assert_true(g_file_set_contents(path, text, -1, NULL));
        assert_int_equal(chmod(path, mode), 0);
}

static void make_dir(Bench *b, const char *name) {
        g_autofree char *path = g_build_filename(b->path, name, NULL);

        assert_int_equal(mkdir(path, 0700), 0);
}

static struct outcome bake_limited(Bench *b, const char *name, json_t *limits) {
        g_autofree char *path = name ? g_build_filename(b->path, name, NULL) : g_strdup(b->path);

        return worker_run(json_pack("{s:s, s:s, s:[s], s:[s], s:o*}", "type", "launch", "op", "volumes", "paths", path,
                                  "roots", b->root, "limits", limits),
                output_fd, &b->output, 0);
}

static struct outcome bake(Bench *b, const char *name) {
        return bake_limited(b, name, NULL);
}

/* Lines without their times. */
static char *listed(int fd) {
        g_autofree char *text = image_list(fd);
        g_autoptr(GRegex) time = g_regex_new(" (\\d+:\\d+ \\d+) \\d+", 0, 0, NULL);

        return g_regex_replace(time, text, -1, 0, " \\1", 0, NULL);
}

static void assert_listed(int fd, const char *line) {
        g_autofree char *text = listed(fd);

        if (!strstr(text, line))
                fail_msg("'%s' is not in:\n%s", line, text);
}

static void assert_refused(Bench *b, const char *name, const char *error, const char *text) {
        struct outcome o = bake(b, name);

        assert_failed(&o, error, text);
        outcome_clear(&o);
        assert_int_equal(ftruncate(b->output, 0), 0);
}

static void test_tree(void **state) {
        Bench *b = *state;
        g_autofree char *link = g_build_filename(b->path, "out", NULL);
        struct outcome o;

        make_file(b, "a", "content", 0600);
        make_file(b, "empty", "", 0644);
        make_file(b, "run", "#!", 04755);
        make_dir(b, "sub");
        make_file(b, "sub/.wh.x", "no whiteout here", 0644);
        assert_int_equal(symlink("/etc/shadow", link), 0);
        o = bake(b, NULL);
        assert_done(&o);
        assert_listed(b->output, "0/a 100444 0:0 1 =content");
        assert_listed(b->output, "0/empty 100444 0:0 1 =");
        assert_listed(b->output, "0/run 100555 0:0 1 =#!"); /* no set-id bit */
        assert_listed(b->output, "0/sub 40555 0:0");
        assert_listed(b->output, "0/sub/.wh.x 100444 0:0 1 =no whiteout here");
        assert_listed(b->output, "0/out 120777 0:0 1 >/etc/shadow"); /* not what is behind it */
        outcome_clear(&o);
}

static void test_file(void **state) {
        Bench *b = *state;
        struct outcome o;

        make_file(b, "a", "content", 0644);
        o = bake(b, "a");
        assert_done(&o);
        assert_listed(b->output, "0 100444 0:0 1 =content");
        outcome_clear(&o);
}

static void test_strange_entries(void **state) {
        Bench *b = *state;
        g_autofree char *fifo = g_build_filename(b->path, "fifo", NULL),
                        *named = g_build_filename(b->path, "socket", NULL);
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(mkfifo(fifo, 0644), 0);
        assert_refused(b, NULL, "InvalidSpec", "/v/fifo: a device, FIFO or socket");
        assert_refused(b, "fifo", "InvalidSpec", "/v/fifo: neither a file nor a directory");
        assert_int_equal(unlink(fifo), 0);
        (void) g_strlcpy(address.sun_path, named, sizeof address.sun_path);
        assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof address), 0);
        assert_refused(b, NULL, "InvalidSpec", "/v/socket: a device, FIFO or socket");
}

static void test_ways_out(void **state) {
        Bench *b = *state;
        g_autofree char *link = g_build_filename(b->path, "etc", NULL);
        struct outcome o;

        assert_int_equal(symlink("/etc", link), 0);
        assert_refused(b, "etc", "InvalidSpec", "symbolic link");
        assert_refused(b, "etc/passwd", "InvalidSpec", "symbolic link");
        assert_refused(b, "../../etc/passwd", "InvalidSpec", "not beneath");
        assert_refused(b, "missing", "InvalidSpec", "No such file");
        o = worker_run(json_pack("{s:s, s:s, s:[s], s:[s]}", "type", "launch", "op", "volumes", "paths", "/etc/passwd",
                               "roots", b->root),
                output_fd, &b->output, 0);
        assert_failed(&o, "InvalidSpec", "/etc/passwd is not beneath an allowed root");
        outcome_clear(&o);
}

static void test_limits(void **state) {
        Bench *b = *state;
        struct outcome o;

        make_file(b, "a", "1234567890", 0644);
        make_dir(b, "d");
        make_dir(b, "d/d");
        o = bake_limited(b, NULL, json_pack("{s:i}", "bytes", 10));
        assert_done(&o);
        outcome_clear(&o);
        assert_int_equal(ftruncate(b->output, 0), 0);
        o = bake_limited(b, NULL, json_pack("{s:i}", "bytes", 9));
        assert_failed(&o, "LimitExceeded", "/v/a (10 bytes)");
        outcome_clear(&o);
        assert_int_equal(ftruncate(b->output, 0), 0);
        o = bake_limited(b, NULL, json_pack("{s:i}", "entries", 3));
        assert_failed(&o, "LimitExceeded", "entries");
        outcome_clear(&o);
        assert_int_equal(ftruncate(b->output, 0), 0);
        o = bake_limited(b, NULL, json_pack("{s:i}", "depth", 1));
        assert_failed(&o, "InvalidSpec", "/v/d/d: it lies too deep");
        outcome_clear(&o);
}

/* Whoever is not root here cannot read it. */
static void test_unreadable(void **state) {
        Bench *b = *state;

        if (geteuid() == 0)
                skip();
        make_file(b, "a", "x", 0000);
        assert_refused(b, NULL, "InvalidSpec", "/v/a: Permission denied");
}

/* A writer that never stops: either it was read whole or its path is told. */
static void test_changing(void **state) {
        Bench *b = *state;
        g_autofree char *path = g_build_filename(b->path, "log", NULL);
        pid_t writer;

        make_file(b, "log", "", 0644);
        writer = fork();
        if (writer == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);

                int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);

                for (;;)
                        if (write(fd, path, 20) != 20 || lseek(fd, 0, SEEK_END) > 1 << 20)
                                (void) ftruncate(fd, 0);
        }
        for (int i = 0; i < 5; i++) {
                struct outcome o = bake(b, NULL);

                assert_non_null(o.last);
                if (g_str_equal(text_of(&o, "type"), "failed"))
                        assert_failed(&o, "InvalidSpec", "/v/log: it changed while it was read");
                outcome_clear(&o);
                assert_int_equal(ftruncate(b->output, 0), 0);
        }
        (void) kill(writer, SIGKILL);
        assert_int_equal(waitpid(writer, NULL, 0), writer);
}

/* ---- Tars ---- */

static struct outcome bake_tars(Bench *b, GByteArray *first, GByteArray *second) {
        static const char *const names[] = {"output", "archive0", "archive1", NULL};
        static const char *const one[] = {"output", "archive0", NULL};
        int fds[] = {b->output, bytes_memfd(first), second ? bytes_memfd(second) : -1};
        struct outcome o =
                worker_run(json_pack("{s:s, s:s}", "type", "launch", "op", "volumes"), second ? names : one, fds, 0);

        (void) close_fd(fds[1]);
        (void) close_fd(fds[2]);
        return o;
}

static void test_tars(void **state) {
        Bench *b = *state;
        g_autoptr(GByteArray) first = make_tar("d ./ \nf ./a one\nl l a\nh hard ./a\nf .wh.b kept\ns set-id \n"),
                              second = make_tar("f deep/x two\n"), packed = pack(second, GZIP);
        struct outcome o = bake_tars(b, first, packed);

        assert_done(&o);
        assert_listed(b->output, "0/a 100644 0:0 2 =one");
        assert_listed(b->output, "0/hard 100644 0:0 2 =one");
        assert_listed(b->output, "0/l 120777 0:0 1 >a");
        assert_listed(b->output, "0/.wh.b 100644 0:0 1 =kept");
        assert_listed(b->output, "1/deep/x 100644 0:0 1 =two");
        assert_listed(b->output, "1 40555 0:0");
        outcome_clear(&o);
}

static void test_bad_tars(void **state) {
        static const struct {
                const char *script, *text;
        } cases[] = {
                {"f ../a x\n", ".."},
                {"c null x\n", "0/null\": a device"},
                {"p fifo x\n", "0/fifo\": a device"},
                {"h a /nothing\n", "no target"},
        };
        Bench *b = *state;

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autoptr(GByteArray) tar = make_tar(cases[i].script);
                struct outcome o = bake_tars(b, tar, NULL);

                assert_failed(&o, "UnsupportedImage", cases[i].text);
                outcome_clear(&o);
                assert_int_equal(ftruncate(b->output, 0), 0);
        }
        {
                g_autoptr(GByteArray) nothing = g_byte_array_new(), text = g_byte_array_append(g_byte_array_new(),
                                                                            (const guint8 *) "no tar at all", 13);
                struct outcome o = bake_tars(b, nothing, NULL);

                assert_failed(&o, "UnsupportedImage", "empty");
                outcome_clear(&o);
                o = bake_tars(b, text, NULL);
                assert_failed(&o, "UnsupportedImage", "no tar");
                outcome_clear(&o);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_tree, setup, teardown),
                cmocka_unit_test_setup_teardown(test_file, setup, teardown),
                cmocka_unit_test_setup_teardown(test_strange_entries, setup, teardown),
                cmocka_unit_test_setup_teardown(test_ways_out, setup, teardown),
                cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
                cmocka_unit_test_setup_teardown(test_unreadable, setup, teardown),
                cmocka_unit_test_setup_teardown(test_changing, setup, teardown),
                cmocka_unit_test_setup_teardown(test_tars, setup, teardown),
                cmocka_unit_test_setup_teardown(test_bad_tars, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
