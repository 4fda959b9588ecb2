/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mcp-passt as a whole, with a stand-in for passt, and each of its calls that makes a descriptor failing once: it says that it failed and
 * why, or it serves; and it ends with the VM, as does what it started. */
#include "../monitor/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../monitor/fake-daemon.h"
#include "faults.h"
#include "shared/fd.h"
#include "shared/launch-wire.h"
#include "shared/wire.h"

/* As passt in its daemon form: ends at once, and leaves one that ends with its socket. */
#define PASST "#!/bin/sh\ncat <&3 >/dev/null 2>&1 &\n"

static char path[] = "/tmp/mcp-faults-XXXXXX", passt[] = "/tmp/mcp-passt-XXXXXX";
static struct faults *faults;
static struct fake_daemon peer;

/* Waits for something of the helper: a connection, a message, its end (false). */
static bool wait_for(int fd, int pidfd, int n) {
        struct pollfd p[] = {{.fd = fd, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};

        if (poll(p, 2, 20000) <= 0)
                fail_msg("call %d: it hangs", n);
        return p[0].revents;
}

/* Its first word after the launch, or NULL. */
static json_t *launch(int pidfd, int guest, int n) {
        int fds[LAUNCH_FDS_MAX];
        json_t *message;
        size_t n_fds;

        if (!wait_for(peer.listener, pidfd, n))
                return NULL;
        json_decref(fake_daemon_accept(&peer));
        fake_daemon_send(&peer,
                json_pack("{s:s, s:i, s:[s,s,s], s:[s]}", "type", "launch", "boot", 1, "argv", passt, "--tcp-ports",
                        "127.0.0.1/0:80", "fds", "socket"),
                &guest, 1);
        (void) wait_for(peer.link, pidfd, n);
        return wire_recv(peer.link, &message, fds, &n_fds) == 1 ? message : NULL;
}

static bool said(const char *text) {
        bool found;
        char *all;

        assert_int_equal(read_file(peer.journal, 1 << 20, &all, NULL), 0);
        found = strstr(all, text) != NULL;
        free(all);
        return found;
}

/* Returns whether it served. */
static bool live(int n) {
        int pair[2], pidfd, status;
        bool ready;
        json_t *word;

        assert_int_equal(ftruncate(peer.journal, 0), 0);
        assert_int_equal(lseek(peer.journal, 0, SEEK_SET), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        fake_daemon_fork(&peer, getenv("MCP_PASST"));
        pidfd = pidfd_open(peer.helper, 0);
        word = launch(pidfd, pair[1], n);
        (void) close(pair[1]);
        ready = word && strcmp(wire_type(word), "ready") == 0;
        if (word && !ready &&
                (strcmp(text_of(word, "error"), "Failed") != 0 || !strstr(text_of(word, "message"), strerror(EMFILE))))
                fail_msg("call %d: %s: %s", n, text_of(word, "error"), text_of(word, "message"));
        if (!word && (n > 1 || !said(strerror(EMFILE))))
                fail_msg("call %d: it ends without a word", n);
        json_decref(word);
        (void) close(pair[0]); /* the VM ends */
        status = fake_daemon_wait(&peer);
        if (status != 0 && (status != 1 || !said(strerror(EMFILE))))
                fail_msg("call %d: status %d", n, status);
        fake_daemon_drop(&peer);
        (void) close(pidfd);
        return ready && status == 0;
}

static void test_descriptors(void **state) {
        int n = 0, served = 0;

        do {
                faults_arm(faults, FAULT_ANY_DESCRIPTOR, EMFILE, ++n, false);
                served += live(n);
        } while (faults->fired);
        faults_disarm(faults);
        print_message("each of %d calls failed with %s, it served %d times\n", n - 1, strerror(EMFILE), served - 1);
        assert_true(n > 1 && served > 0);
}

static int make_passt(void) {
        int fd = mkstemp(passt), r;

        if (fd < 0)
                return -1;
        r = write_all(fd, PASST, strlen(PASST)) < 0 || fchmod(fd, 0700) < 0;
        (void) close(fd);
        return r ? -1 : 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_descriptors)};
        int fd = mkstemp(path), r;

        if (fd < 0 || make_passt() < 0)
                return EXIT_FAILURE;
        (void) close(fd);
        (void) signal(SIGPIPE, SIG_IGN);
        fake_daemon_open(&peer);
        peer.journal = memfd_create("journal", MFD_CLOEXEC);
        faults = faults_new(path, "/");
        faults_load(FAULT_PRELOAD, path);
        r = cmocka_run_group_tests(tests, NULL, NULL);
        faults_unload();
        faults_free(faults);
        (void) close(peer.journal);
        fake_daemon_close(&peer);
        (void) unlink(path);
        (void) unlink(passt);
        return r;
}
