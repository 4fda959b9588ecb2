/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The monitor's calls that fail, one after the other, from its start to the VM's end: each read, write and fsync of log and exit
 * record, and each call that makes a descriptor. A VM runs without a log and without a record, and its end is told. */
#include "machine-case.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "faults.h"
#include "shared/wire.h"

#define LIFE_MS 20000
#define LOG_MAX 5000 /* a segment: one line of the guest's, or a few of ours */

static char path[] = "/tmp/mcp-faults-XXXXXX";
static struct faults *faults;

/* What the daemon has heard of one life. */
static bool log_stays; /* from one life to the next */
static struct life {
        int status; /* of the monitor's exit; negative: a signal */
        bool hello, ran, ready, again;
        char console[64], reason[32], message[600];
        int code;
} life;

static void keep(char *buf, size_t size, const json_t *message, const char *key) {
        (void) snprintf(buf, size, "%s", text_of(message, key));
}

static void ask_console(void) {
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        fake_daemon_send(&t.daemon, json_pack("{s:s, s:i}", "type", "console", "id", 1), &pair[0], 1);
        (void) close(pair[0]);
        (void) close(pair[1]);
}

static void on_reply(const json_t *message) {
        if (number_of(message, "id") == 1) {
                keep(life.console, sizeof life.console, message, "error");
                fake_daemon_send(&t.daemon, json_pack("{s:s, s:i}", "type", "usage", "id", 2), NULL, 0);
        } else if (number_of(message, "id") == 2)
                fake_daemon_send(&t.daemon,
                        json_pack("{s:s, s:i, s:I}", "type", "stop", "id", 3, "timeout", (json_int_t) (5 * SECOND)),
                        NULL, 0);
}

static int prepared[4] = {-1, -1, -1, -1}; /* initrd, variables, their template, boot message; -1: this VM has none */

static void send_launch(void) {
        static const char *const names[] = {"qemu", "qemu", "vars-template", "boot"};
        json_t *launch = launch_message("chatty", true), *list = json_object_get(launch, "fds");
        int fds[8] = {t.log[0], t.log[1], t.log[2], t.exit, t.log[0]}, n = 5;

        (void) json_object_set_new(launch, "log_max", json_integer(LOG_MAX));
        if (prepared[0] >= 0) {
                (void) json_array_remove(list, --n);
                for (size_t i = 0; i < 4; i++) {
                        (void) json_array_append_new(list, json_string(names[i]));
                        fds[n++] = prepared[i];
                }
                (void) json_object_set_new(launch, "boot_in", json_integer(0));
                (void) json_object_set_new(launch, "vars", json_integer(1));
        }
        fake_daemon_send(&t.daemon, launch, fds, (size_t) n);
}

static void on_message(const json_t *message) {
        const char *type = wire_type(message);

        if (strcmp(type, "hello") == 0) {
                life.hello = true;
                send_launch();
        } else if (strcmp(type, "running") == 0)
                life.ran = true;
        else if (strcmp(type, "ready") == 0) {
                life.ready = true;
                ask_console();
        } else if (strcmp(type, "reply") == 0)
                on_reply(message);
        else if (strcmp(type, "exited") == 0) {
                keep(life.reason, sizeof life.reason, message, "reason");
                keep(life.message, sizeof life.message, message, "message");
                life.code = (int) number_of(message, "code");
        }
}

/* False: nothing more will come over this connection. */
static bool listen_once(void) {
        int fds[LAUNCH_FDS_MAX];
        json_t *message;
        size_t n_fds;

        if (wire_recv(t.daemon.link, &message, fds, &n_fds) <= 0) {
                fake_daemon_drop(&t.daemon);
                return false;
        }
        on_message(message);
        json_decref(message);
        return true;
}

/* A whole life, by the monitor's leave; it hangs nowhere. */
static void live(void) {
        int pidfd;

        life = (struct life){};
        for (size_t i = 0; i < LOG_SEGMENTS && !log_stays; i++)
                assert_int_equal(ftruncate(t.log[i], 0), 0);
        assert_int_equal(ftruncate(t.exit, 0), 0);
        assert_int_equal(ftruncate(t.daemon.journal, 0), 0);
        assert_int_equal(lseek(t.daemon.journal, 0, SEEK_SET), 0);
        fake_daemon_fork(&t.daemon, getenv("MONITOR"));
        pidfd = pidfd_open(t.daemon.helper, 0);
        for (;;) {
                struct pollfd p[] = {{.fd = t.daemon.link, .events = POLLIN},
                        {.fd = t.daemon.listener, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};

                if (poll(p, 3, LIFE_MS) <= 0)
                        fail_msg("call %d: it hangs", faults->countdown);
                if (p[0].revents)
                        (void) listen_once();
                else if (p[1].revents) {
                        life.again = t.daemon.link >= 0 || life.ran;
                        fake_daemon_drop(&t.daemon);
                        t.daemon.link = accept(t.daemon.listener, NULL, NULL);
                } else
                        break;
        }
        life.status = fake_daemon_wait(&t.daemon);
        fake_daemon_drop(&t.daemon);
        (void) close(pidfd);
}

static unsigned journal(const char *text) {
        unsigned n = 0;
        char *all;

        assert_int_equal(read_file(t.daemon.journal, 1 << 20, &all, NULL), 0);
        for (const char *p = all; (p = strstr(p, text)); p++)
                n++;
        free(all);
        return n;
}

static void show(void) {
        char *all;

        if (read_file(t.daemon.journal, 1 << 20, &all, NULL) == 0)
                print_error("status %d, ran %d, ready %d, reason \"%s\" %d, console \"%s\", \"%s\"\n%s", life.status,
                        life.ran, life.ready, life.reason, life.code, life.console, life.message, all);
}

#define must(condition, n)                                                                                             \
        do {                                                                                                           \
                if (!(condition)) {                                                                                    \
                        show();                                                                                        \
                        fail_msg("call %d: not %s", n, #condition);                                                    \
                }                                                                                                      \
        } while (0)

static void whole_life(int n) {
        must(life.status == 0 && life.ready && !life.again, n);
        must(strcmp(life.reason, "guest-exit") == 0 && life.code == 0, n);
}

/* ---- Files ---- */

static void walk_files(enum fault_call call, const char *name, const char *file, int error, bool forever) {
        char prefix[64];
        int n = 0;

        (void) snprintf(prefix, sizeof prefix, "/memfd:%s", file);
        faults_below(faults, prefix);
        do {
                faults_arm(faults, call, error, ++n, forever);
                live();
                faults_disarm(faults);
                whole_life(n);
                must(journal("\n") <= 1, n); /* once, not once a line */
                if (faults->fired)
                        must(journal(strerror(error)) == 1, n);
                else
                        must(journal("\n") == 0, n);
                if (faults->fired && strcmp(file, "exit") == 0)
                        must(journal("exit record") == 1, n);
                else
                        check_record("guest-exit", 0);
        } while (faults->fired);
        print_message("%s of %s: each of %d calls failed%s with %s\n", name, file, n - 1, forever ? " for ever" : "",
                strerror(error));
        assert_true(n > 1);
}

static void test_log_write(void **state) {
        walk_files(FAULT_WRITE, "write", "log", ENOSPC, false);
        walk_files(FAULT_WRITE, "write", "log", EIO, true);
        walk_files(FAULT_WRITE, "write", "log", EIO, false);
        walk_files(FAULT_WRITE, "write", "log", ENOSPC, true);
}

/* What an earlier boot has left cannot be read. */
static void test_log_read(void **state) {
        live();
        log_stays = true;
        walk_files(FAULT_READ, "read", "log", EIO, false);
        walk_files(FAULT_READ, "read", "log", EIO, true);
        log_stays = false;
}

static void test_record_write(void **state) {
        walk_files(FAULT_WRITE, "write", "exit", ENOSPC, false);
        walk_files(FAULT_WRITE, "write", "exit", EIO, true);
        walk_files(FAULT_FSYNC, "fsync", "exit", EIO, false);
        walk_files(FAULT_FSYNC, "fsync", "exit", ENOSPC, true);
}

/* ---- What is made before QEMU starts ---- */

static int file_with(const char *name, size_t len) {
        char *data = malloc(len);
        int fd = memfd_create(name, MFD_CLOEXEC);

        memset(data, 'a', len);
        assert_int_equal(write_all(fd, data, len), 0);
        free(data);
        return fd;
}

/* Its end says what could not be made and why, and the next boot makes it. */
static void walk_preparation(enum fault_call call, const char *file, const char *what, int error) {
        char prefix[64];
        int n = 0;

        (void) snprintf(prefix, sizeof prefix, "/memfd:%s", file);
        faults_below(faults, prefix);
        do {
                assert_int_equal(ftruncate(prepared[1], 0), 0);
                faults_arm(faults, call, error, ++n, false);
                live();
                faults_disarm(faults);
                if (!faults->fired)
                        break;
                must(strcmp(life.reason, "crashed") == 0 && life.code == 127 && !life.ran, n);
                must(strstr(life.message, what) && strstr(life.message, strerror(error)), n);
                must(journal("\n") == 1, n);
                live();
                whole_life(n);
        } while (true);
        whole_life(n);
        print_message("%s of %s: each of %d calls failed with %s\n", what, file, n - 1, strerror(error));
        assert_true(n > 1);
}

static void test_preparation(void **state) {
        prepared[0] = file_with("given", 5000);
        prepared[1] = memfd_create("vars", MFD_CLOEXEC);
        prepared[2] = file_with("template", 100000);
        prepared[3] = file_with("message", 100);
        walk_preparation(FAULT_WRITE, "vars", "UEFI variables", ENOSPC);
        walk_preparation(FAULT_FSYNC, "vars", "UEFI variables", EDQUOT);
        walk_preparation(FAULT_READ, "template", "UEFI variables", EIO);
        walk_preparation(FAULT_WRITE, "initrd", "initrd", ENOSPC);
        walk_preparation(FAULT_READ, "message", "initrd", EIO);
        for (size_t i = 0; i < 4; i++)
                prepared[i] = close_fd(prepared[i]);
}

/* ---- Descriptors ---- */

static bool notified(const char *text) {
        char all[8192];

        fake_daemon_notified(&t.daemon, all, sizeof all);
        return strstr(all, text) != NULL;
}

/* A VM that did not come up: the daemon has heard why, or reads it in the record; without any connection the unit's failed start says
 * that there is none, and the journal why. */
static void no_life(int n, int error) {
        struct stat st;

        must(life.status == 1 && !life.ran, n);
        must(fstat(t.exit, &st) == 0, n);
        if (life.reason[0]) {
                must(strcmp(life.reason, "crashed") == 0 && life.code == 127 && strstr(life.message, strerror(error)),
                        n);
                if (st.st_size > 0)
                        check_record(life.reason, life.code);
        } else if (st.st_size > 0)
                check_record("crashed", 127);
        else
                must(!life.hello && journal(strerror(error)) == 1, n);
}

static void walk_descriptors(int error, bool forever) {
        int n = 0, lived = 0;

        do {
                bool ready;

                faults_arm(faults, FAULT_ANY_DESCRIPTOR, error, ++n, forever);
                live();
                faults_disarm(faults);
                ready = notified("READY=1");
                must(!life.again, n);
                if (!life.ready) {
                        no_life(n, error);
                        continue;
                }
                whole_life(n);
                must(ready || forever, n); /* else systemd would end it as one that never started */
                must(!life.console[0] || (faults->fired && strcmp(life.console, "LimitExceeded") == 0), n);
                lived++;
        } while (faults->fired);
        print_message("descriptors: each of %d calls failed%s with %s, the VM lived %d times\n", n - 1,
                forever ? " for ever" : "", strerror(error), lived);
        assert_true(n > 1 && lived > 1);
}

static void test_descriptors(void **state) {
        faults->prefix[0] = 0;
        walk_descriptors(EMFILE, false);
        walk_descriptors(EMFILE, true);
}

static int setup_faults(void **state) {
        int r = setup(state);

        t.daemon.journal = memfd_create("journal", MFD_CLOEXEC);
        faults_load(FAULT_PRELOAD, path);
        return r;
}

static int teardown_faults(void **state) {
        faults_unload();
        (void) close(t.daemon.journal);
        return teardown(state);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_log_write, setup_faults, teardown_faults),
                cmocka_unit_test_setup_teardown(test_log_read, setup_faults, teardown_faults),
                cmocka_unit_test_setup_teardown(test_record_write, setup_faults, teardown_faults),
                cmocka_unit_test_setup_teardown(test_preparation, setup_faults, teardown_faults),
                cmocka_unit_test_setup_teardown(test_descriptors, setup_faults, teardown_faults),
        };
        int fd = mkstemp(path), r;

        if (fd < 0)
                return EXIT_FAILURE;
        (void) close(fd);
        (void) signal(SIGPIPE, SIG_IGN);
        faults = faults_new(path, "/memfd:");
        r = cmocka_run_group_tests(tests, NULL, NULL);
        faults_free(faults);
        (void) unlink(path);
        return r;
}
