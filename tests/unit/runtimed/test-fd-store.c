/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What systemd is told to keep, and what it gives back. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch/fd-store.h"
#include "shared/fd.h"

typedef struct Bench {
        char *dir;
        int systemd; /* its notification socket */
        FdStore *store;
} Bench;

static int setup(void **state) {
        Bench *b = g_new0(Bench, 1);
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        g_autofree char *path = NULL;
        int socket_fd;

        b->dir = scratch_new();
        path = g_build_filename(b->dir, "notify", NULL);
        (void) g_strlcpy(address.sun_path, path, sizeof address.sun_path);
        b->systemd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_int_equal(bind(b->systemd, (struct sockaddr *) &address, sizeof address), 0);
        (void) setenv("NOTIFY_SOCKET", path, 1);
        b->store = fd_store_new(&socket_fd);
        assert_int_equal(socket_fd, -1);
        *state = b;
        return 0;
}

static int teardown(void **state) {
        Bench *b = *state;

        (void) unsetenv("NOTIFY_SOCKET");
        assert_null(fd_store_free(b->store));
        (void) close_fd(b->systemd);
        scratch_remove(b->dir);
        g_free(b);
        return 0;
}

/* What systemd hears next, "" for nothing; *ret_fd is the descriptor that came with it, or -1. */
static const char *heard(Bench *b, int *ret_fd) {
        static char text[512];
        union {
                char buf[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(64)];
                struct cmsghdr align;
        } control;
        struct iovec iov = {text, sizeof text - 1};
        struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        ssize_t n = recvmsg(b->systemd, &m, MSG_CMSG_CLOEXEC);

        text[n < 0 ? 0 : n] = 0;
        *ret_fd = -1;
        for (struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
                        memcpy(ret_fd, CMSG_DATA(c), sizeof *ret_fd);
        return text;
}

static void test_put_and_drop(void **state) {
        Bench *b = *state;
        _cleanup_close_ int fd = memfd_sealed("x", "one", 3), other = memfd_sealed("x", "two", 3);
        int got;
        char *text;

        assert_int_equal(fd_store_put(b->store, "credentials-1", fd), 0);
        assert_string_equal(heard(b, &got), "FDSTORE=1\nFDNAME=credentials-1\nFDPOLL=0");
        assert_int_equal(read_file(got, 10, &text, NULL), 0);
        assert_string_equal(text, "one");
        free(text);
        (void) close_fd(got);

        assert_int_equal(fd_store_put(b->store, "credentials-1", other), 0); /* in its place */
        assert_string_equal(heard(b, &got), "FDSTOREREMOVE=1\nFDNAME=credentials-1");
        assert_string_equal(heard(b, &got), "FDSTORE=1\nFDNAME=credentials-1\nFDPOLL=0");
        (void) close_fd(got);

        fd_store_drop(b->store, "credentials-1");
        assert_string_equal(heard(b, &got), "FDSTOREREMOVE=1\nFDNAME=credentials-1");
        fd_store_drop(b->store, "credentials-1");
        assert_string_equal(heard(b, &got), "");
        assert_int_equal(fd_store_take(b->store, "credentials-1"), -ENOENT);
}

static void test_limit(void **state) {
        Bench *b = *state;
        _cleanup_close_ int fd = memfd_sealed("x", "", 0);
        int got;

        for (unsigned i = 0; i < FD_STORE_MAX; i++) {
                g_autofree char *name = g_strdup_printf("n-%u", i);

                assert_int_equal(fd_store_put(b->store, name, fd), 0);
                (void) heard(b, &got);
                (void) close_fd(got);
        }
        assert_int_equal(fd_store_put(b->store, "more", fd), -EDQUOT);
        assert_int_equal(fd_store_put(b->store, "n-7", fd), 0); /* has a place already */
}

/* In a process of its own, whose descriptors are those that systemd passed. */
static void test_passed(void **state) {
        Bench *b = *state;
        _cleanup_close_ int fd = memfd_sealed("x", "kept", 4), unclaimed = memfd_sealed("x", "", 0);
        int status, got;
        pid_t pid = fork();

        if (pid == 0) {
                g_autofree char *self = g_strdup_printf("%d", (int) getpid());
                char *text = NULL;
                FdStore *store;
                int socket_fd, mine;

                if (dup2(fd, 103) < 0 || dup2(unclaimed, 104) < 0 || dup2(103, 3) < 0 || dup2(104, 4) < 0)
                        _exit(1);
                (void) setenv("LISTEN_PID", self, 1);
                (void) setenv("LISTEN_FDS", "2", 1);
                (void) setenv("LISTEN_FDNAMES", "credentials-a:credentials-b", 1);
                store = fd_store_new(&socket_fd);
                mine = fd_store_take(store, "credentials-a");
                if (socket_fd >= 0 || mine < 0 || read_file(mine, 10, &text, NULL) < 0 || strcmp(text, "kept") != 0 ||
                        fd_store_take(store, "credentials-a") != -ENOENT)
                        _exit(2);
                fd_store_drop_unclaimed(store);
                _exit(fd_store_take(store, "credentials-b") == -ENOENT ? 0 : 3);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_string_equal(heard(b, &got), "FDSTOREREMOVE=1\nFDNAME=credentials-b");
        assert_string_equal(heard(b, &got), "");
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_put_and_drop, setup, teardown),
                cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
                cmocka_unit_test_setup_teardown(test_passed, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
