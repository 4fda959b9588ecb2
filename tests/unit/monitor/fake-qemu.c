/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A stand-in for QEMU: QMP on descriptor 3, consoles on 4 and 5, the guest port on 6. The first argument says how it
 * behaves, see modes[]. */
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/fd.h"
#include "shared/launch-wire.h"

static const char *mode;
static int guest_fd = QEMU_FD_GUEST; /* -1: the monitor has closed it */

static bool mode_is(const char *name) {
        return strcmp(mode, name) == 0;
}

static void qmp(const char *text) {
        (void) write_all(QEMU_FD_QMP, text, strlen(text));
        (void) write_all(QEMU_FD_QMP, "\r\n", 2);
}

static void end(const char *reason, bool guest) {
        char event[160];

        (void) snprintf(event, sizeof event, "{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": %s, \"reason\": \"%s\"}}",
                guest ? "true" : "false", reason);
        qmp(event);
        exit(EXIT_SUCCESS);
}

static void frame(const void *bytes, size_t len) {
        (void) write_all(QEMU_FD_GUEST, bytes, len);
}

static void exit_frame(unsigned how, unsigned status) {
        const unsigned char bytes[] = {3, 0, 8, 0, (unsigned char) how, 0, 0, 0, (unsigned char) status, 0, 0, 0};

        frame(bytes, sizeof bytes);
}

static void probe_frame(unsigned which, unsigned good) {
        const unsigned char bytes[] = {5, 0, 8, 0, (unsigned char) which, 0, 0, 0, (unsigned char) good, 0, 0, 0};

        frame(bytes, sizeof bytes);
}

/* What the guest does once the CPUs run. */
static void guest_boots(void) {
        static const char hello[] = {1, 0, 4, 0, 1, 0, 0, 0}, ready[] = {2, 0, 0, 0};
        static char block[65536];

        (void) write_all(QEMU_FD_SERIAL, "booting\r\n", 9);
        if (mode_is("firmware") || mode_is("ignore"))
                return;
        if (mode_is("garbage")) {
                frame("\xff\xff\xff\xff", 4);
                return;
        }
        frame(hello, sizeof hello);
        frame(ready, sizeof ready);
        (void) write_all(QEMU_FD_CONSOLE, "hello\nworld", 11);
        if (mode_is("probed"))
                probe_frame(0, 1);
        if (mode_is("healthy") || mode_is("ailing"))
                probe_frame(1, 1);
        if (mode_is("probe-flood"))
                for (unsigned i = 0; i < 100000; i++)
                        probe_frame(i / 2 % 2, i % 2);
        if (mode_is("exit-7")) {
                exit_frame(0, 7);
                end("guest-shutdown", true);
        }
        if (mode_is("poweroff"))
                end("guest-shutdown", true);
        if (mode_is("panic")) {
                (void) write_all(QEMU_FD_SERIAL, "[ 1.0] Kernel panic - not syncing: no init\r\nmore\r\n", 50);
                end("guest-reset", true);
        }
        if (mode_is("error")) {
                frame("\4\0\4\0oh\xff!", 8);
                end("guest-shutdown", true);
        }
        if (mode_is("segv")) {
                (void) signal(SIGSEGV, SIG_DFL);
                (void) write_all(STDERR_FILENO, "qemu: bad thing\n", 16);
                (void) raise(SIGSEGV);
        }
        if (mode_is("chatty")) {
                memset(block, 'x', sizeof block);
                for (unsigned i = 0; i < 10; i++) {
                        (void) write_all(QEMU_FD_CONSOLE, block, 1200);
                        (void) write_all(QEMU_FD_CONSOLE, "\n", 1);
                }
        }
        if (mode_is("flood")) {
                for (size_t i = 0; i < sizeof block; i++)
                        block[i] = i % 64 == 63 ? '\n' : 'x';
                for (size_t i = 0; i < 320; i++)
                        (void) write_all(QEMU_FD_CONSOLE, block, sizeof block);
                exit_frame(0, 0);
                end("guest-shutdown", true);
        }
}

static void on_guest_stop(void) {
        char buf[64];
        ssize_t n = read(QEMU_FD_GUEST, buf, sizeof buf);

        if (n <= 0) {
                guest_fd = -1;
                return;
        }
        if (mode_is("deaf") || mode_is("quit-only") || mode_is("ignore"))
                return;
        if (n >= 8 && buf[0] == 17) {
                exit_frame(1, (unsigned char) buf[4]);
                end("guest-shutdown", true);
        }
        exit_frame(0, 0);
        end("guest-shutdown", true);
}

static int passed = -1, named = -1; /* a descriptor as it came, and as getfd named it */
static unsigned viewers;

static void answer_servers(int id) {
        char reply[512];
        int n = snprintf(reply, sizeof reply, "{\"return\": [{\"id\": \"default\", \"clients\": [");

        for (unsigned i = 0; i < viewers; i++)
                n += snprintf(reply + n, sizeof reply - (size_t) n, "%s{}", i ? ", " : "");
        (void) snprintf(reply + n, sizeof reply - (size_t) n, "]}], \"id\": %d}", id);
        qmp(reply);
}

static void answer_error(int id, const char *text) {
        char reply[256];

        (void) snprintf(reply, sizeof reply, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"%s\"}, \"id\": %d}", text, id);
        qmp(reply);
}

/* As QEMU's: a name has one descriptor, the newest, and a viewer is served from its first byte on. */
static bool answer_display(const char *line, int id) {
        if (strstr(line, "\"query-vnc-servers\"") && mode_is("no-vnc"))
                answer_error(id, "The command query-vnc-servers has not been found");
        else if (strstr(line, "\"query-vnc-servers\""))
                answer_servers(id);
        else if (strstr(line, "\"getfd\"") && passed < 0)
                answer_error(id, "No file descriptor supplied via SCM_RIGHTS");
        else if (strstr(line, "\"getfd\"")) {
                named = close_fd(named);
                named = take_fd(&passed);
                return false;
        } else if (strstr(line, "\"add_client\"") && (mode_is("display-refuses") || !strstr(line, "\"skipauth\":true")))
                answer_error(id, "no room");
        else if (strstr(line, "\"add_client\"")) {
                (void) write_all(named, "RFB 003.008\n", 12);
                named = -1;
                viewers++;
                return false;
        } else
                return false;
        return true;
}

/* With SeaBIOS behind it: the firmware resets the machine twice more, which is its end where resets mean that. */
static void reset_machine(void) {
        char next[1024] = "";

        qmp("{\"event\": \"RESET\", \"data\": {\"guest\": false}}");
        if (!mode_is("seabios"))
                return;
        for (unsigned i = 0; i < 2; i++) {
                qmp("{\"event\": \"RESET\", \"data\": {\"guest\": true}}");
                (void) usleep(200000);
                if (recv(QEMU_FD_QMP, next, sizeof next - 1, MSG_PEEK | MSG_DONTWAIT) > 0 && strstr(next, "shutdown"))
                        end("guest-reset", true);
        }
        guest_boots();
}

static void answer(const char *line) {
        const char *id = strstr(line, "\"id\":");
        char reply[128];

        if (answer_display(line, id ? atoi(id + 5) : 0))
                return;
        (void) snprintf(reply, sizeof reply, "{\"return\": {\"running\": true}, \"id\": %d}", id ? atoi(id + 5) : 0);
        if (mode_is("mute") && !strstr(line, "qmp_capabilities") && !strstr(line, "query-status"))
                return;
        qmp(reply);
        if (strstr(line, "\"query-status\""))
                guest_boots();
        else if (strstr(line, "\"stop\""))
                qmp("{\"event\": \"STOP\"}");
        else if (strstr(line, "\"cont\""))
                qmp("{\"event\": \"RESUME\"}");
        else if (strstr(line, "\"system_reset\""))
                reset_machine();
        else if (strstr(line, "\"system_powerdown\"") && mode_is("deaf"))
                end("guest-shutdown", true);
        else if (strstr(line, "\"quit\"") && !mode_is("ignore"))
                end("host-qmp-quit", false);
}

static void on_commands(void) {
        static char buf[65536];
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control;
        struct iovec iov = {.iov_base = buf, .iov_len = sizeof buf - 1};
        struct msghdr message = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        ssize_t n = recvmsg(QEMU_FD_QMP, &message, MSG_CMSG_CLOEXEC);
        char *rest = buf;

        if (n <= 0)
                exit(3);
        if (CMSG_FIRSTHDR(&message)) {
                passed = close_fd(passed);
                memcpy(&passed, CMSG_DATA(&control.header), sizeof passed);
        }
        buf[n] = 0;
        for (char *line; (line = strsep(&rest, "\n"));)
                if (*line)
                        answer(line);
}

static void run_early_modes(void) {
        if (mode_is("fail")) {
                (void) fprintf(stderr, "qemu: -device nonsense: no such device\n");
                exit(1);
        }
        if (mode_is("brief"))
                (void) usleep(50000);
        if (mode_is("at-once") || mode_is("brief"))
                exit(EXIT_SUCCESS);
        if (mode_is("no-qmp"))
                qmp("hello, I am no QMP");
        if (mode_is("ignore")) {
                (void) signal(SIGTERM, SIG_IGN);
        }
        /* Shows its descriptors and environment on its standard output. */
        if (mode_is("inventory")) {
                for (int fd = 0; fd < 64; fd++)
                        if (lseek(fd, 0, SEEK_CUR) >= 0 || poll(&(struct pollfd){.fd = fd}, 1, 0) >= 0) {
                                struct pollfd p = {.fd = fd};

                                (void) poll(&p, 1, 0);
                                if (!(p.revents & POLLNVAL))
                                        (void) printf("fd %d\n", fd);
                        }
                for (char **e = environ; *e; e++)
                        (void) printf("env %s\n", *e);
                exit(EXIT_SUCCESS);
        }
}

int main(int argc, char *argv[]) {
        mode = argc > 1 ? argv[1] : "";
        run_early_modes();
        qmp("{\"QMP\": {\"version\": {}, \"capabilities\": []}}");
        for (;;) {
                struct pollfd p[] = {{.fd = QEMU_FD_QMP, .events = POLLIN}, {.fd = guest_fd, .events = POLLIN}};

                if (poll(p, 2, -1) < 0)
                        return 4;
                if (p[0].revents)
                        on_commands();
                if (p[1].revents)
                        on_guest_stop();
        }
}
