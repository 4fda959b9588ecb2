/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What subscribers were told, as the next daemon finds it. */
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/told.h"
#include "launch/fd-store.h"
#include "shared/fd.h"

typedef struct Bench {
        FdStore *store;
        Told *told;
} Bench;

/* Without a systemd that keeps anything. */
static int setup(void **state) {
        Bench *b = g_new0(Bench, 1);
        int socket_fd;

        (void) unsetenv("NOTIFY_SOCKET");
        b->store = fd_store_new(&socket_fd);
        b->told = told_new(b->store);
        assert_non_null(b->told);
        *state = b;
        return 0;
}

static int teardown(void **state) {
        Bench *b = *state;

        assert_null(told_free(b->told));
        assert_null(fd_store_free(b->store));
        g_free(b);
        return 0;
}

static void test_answers(void **state) {
        Bench *b = *state;

        assert_int_equal(told_ask(b->told, "/vm/web", "State", "running"), TOLD_NOT);
        told_set(b->told, "/vm/web", "State", "running");
        assert_int_equal(told_ask(b->told, "/vm/web", "State", "running"), TOLD_SAME);
        assert_int_equal(told_ask(b->told, "/vm/web", "State", "failed"), TOLD_OTHER);
        assert_int_equal(told_ask(b->told, "/vm/web", "Ready", "running"), TOLD_NOT);
        assert_int_equal(told_ask(b->told, "/vm/other", "State", "running"), TOLD_NOT);
        told_set(b->told, "/vm/web", "State", "failed");
        assert_int_equal(told_ask(b->told, "/vm/web", "State", "failed"), TOLD_SAME);
        told_set(b->told, "/vm/web", "Reason", "");
        told_forget(b->told, "/vm/web");
        assert_int_equal(told_ask(b->told, "/vm/web", "State", "failed"), TOLD_NOT);
        assert_int_equal(told_ask(b->told, "/vm/web", "Reason", ""), TOLD_NOT);
        told_forget(b->told, "/vm/web");
}

/* Objects come and go, in thousands: what is remembered is what a plain table has. */
static void test_churn(void **state) {
        Bench *b = *state;
        g_autoptr(GRand) random = g_rand_new_with_seed(7);
        g_autoptr(GHashTable) model = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        GHashTableIter iter;
        gpointer key, value;

        for (unsigned i = 0; i < 60000; i++) {
                unsigned n = (unsigned) g_rand_int_range(random, 0, 4000);
                g_autofree char *path = g_strdup_printf("/vm/%u", n);

                if (g_rand_int_range(random, 0, 4) == 0) {
                        told_forget(b->told, path);
                        for (unsigned p = 0; p < 5; p++) {
                                g_autofree char *old = g_strdup_printf("%s %u", path, p);

                                (void) g_hash_table_remove(model, old);
                        }
                } else {
                        g_autofree char *property = g_strdup_printf("%d", g_rand_int_range(random, 0, 5));
                        g_autofree char *text = g_strdup_printf("%u", i);

                        told_set(b->told, path, property, text);
                        (void) g_hash_table_replace(model, g_strconcat(path, " ", property, NULL), g_strdup(text));
                }
        }
        for (unsigned n = 0; n < 4000; n++)
                for (unsigned p = 0; p < 5; p++) {
                        g_autofree char *path = g_strdup_printf("/vm/%u", n), *property = g_strdup_printf("%u", p);
                        g_autofree char *name = g_strconcat(path, " ", property, NULL);
                        const char *known = g_hash_table_lookup(model, name);

                        assert_int_equal(told_ask(b->told, path, property, known ?: ""), known ? TOLD_SAME : TOLD_NOT);
                }
        g_hash_table_iter_init(&iter, model);
        assert_true(g_hash_table_iter_next(&iter, &key, &value));
}

/* More than it holds: what has no place is told again, the rest is known. */
static void test_full(void **state) {
        Bench *b = *state;
        unsigned known = 0;

        for (unsigned i = 0; i < 2 * TOLD_ENTRIES; i++) {
                g_autofree char *path = g_strdup_printf("/vm/%u", i);

                told_set(b->told, path, "State", "running");
        }
        for (unsigned i = 0; i < 2 * TOLD_ENTRIES; i++) {
                g_autofree char *path = g_strdup_printf("/vm/%u", i);

                known += told_ask(b->told, path, "State", "running") == TOLD_SAME;
        }
        assert_true(known > TOLD_ENTRIES / 2 && known < TOLD_ENTRIES);
        told_set(b->told, "/vm/0", "State", "failed"); /* an entry that is there can change */
        assert_int_equal(told_ask(b->told, "/vm/0", "State", "failed"), TOLD_SAME);
        told_forget(b->told, "/vm/0");
        told_set(b->told, "/vm/new", "State", "running");
        assert_int_equal(told_ask(b->told, "/vm/new", "State", "running"), TOLD_SAME);
}

#define ENTRY_BYTES 24

/* A daemon that gets fd from systemd, in a process of its own: says what it knows, tells more, and dies. */
static int daemon_knows(int fd, const char *known, const char *more) {
        pid_t pid = fork();
        int status;

        if (pid == 0) {
                g_autofree char *self = g_strdup_printf("%d", (int) getpid());
                int socket_fd;
                Told *t;

                if (fd == 3 ? fcntl(3, F_SETFD, 0) < 0 : dup2(fd, 3) < 0)
                        _exit(10);
                (void) setenv("LISTEN_PID", self, 1);
                (void) setenv("LISTEN_FDS", "1", 1);
                (void) setenv("LISTEN_FDNAMES", "told-1", 1);
                t = told_new(fd_store_new(&socket_fd));
                if (!t || told_is_fresh(t))
                        _exit(11);
                status = (int) told_ask(t, "/vm/web", "State", known);
                told_set(t, "/vm/web", "State", more);
                (void) kill(getpid(), status == TOLD_SAME ? SIGKILL : status == TOLD_OTHER ? SIGUSR1 : SIGUSR2);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        return WTERMSIG(status) == SIGKILL ? TOLD_SAME : WTERMSIG(status) == SIGUSR1 ? TOLD_OTHER : TOLD_NOT;
}

/* What one told the next one knows, however it ended. */
static void test_next_daemon(void **state) {
        int fd = memfd_create("told", MFD_CLOEXEC);

        assert_int_equal(ftruncate(fd, (off_t) TOLD_ENTRIES * ENTRY_BYTES), 0);
        assert_int_equal(daemon_knows(fd, "running", "running"), TOLD_NOT);
        assert_int_equal(daemon_knows(fd, "running", "failed"), TOLD_SAME);
        assert_int_equal(daemon_knows(fd, "running", "running"), TOLD_OTHER);
        (void) close_fd(fd);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
                cmocka_unit_test_setup_teardown(test_churn, setup, teardown),
                cmocka_unit_test_setup_teardown(test_full, setup, teardown),
                cmocka_unit_test(test_next_daemon),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
