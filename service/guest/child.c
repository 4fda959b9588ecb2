/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From fork() to execve(). The child says why it failed through a close-on-exec pipe: its end without a word means that
 * the program runs. */
#include "guest/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "guest/device.h"
#include "guest/program.h"
#include "shared/fd.h"

#define KERNEL_CONSOLE "/dev/console"
#define CONSOLE_WAIT_USEC (1000U * 1000U)

/* As systemd does: the soft limit that select() can live with, room for who asks for more. */
#define FILES_SOFT 1024U
#define FILES_HARD 524288U

const char *child_terminal(const struct boot_message *message) {
        static char path[sizeof("/dev/") + BOOT_CONSOLE_MAX];
        int fd;

        (void) snprintf(path, sizeof(path), "/dev/%s", message->console);
        fd = device_open_wait(path, O_RDWR | O_NOCTTY | O_NONBLOCK, CONSOLE_WAIT_USEC);
        if (fd < 0)
                return KERNEL_CONSOLE;
        (void) close_fd(fd);
        return path;
}

/* With output processing every line costs the host two writes and a carriage return in the log; without it a whole
 * buffer is one. A terminal that shows the console adds its own carriage returns. */
static void set_raw_output(int fd) {
        struct termios settings;

        if (tcgetattr(fd, &settings) < 0)
                return;
        settings.c_oflag &= ~(tcflag_t) OPOST;
        (void) tcsetattr(fd, TCSANOW, &settings);
}

static int set_streams(const char *terminal, const struct account *account, struct failure *failure) {
        int fd;

        fd = open(terminal, O_RDWR | O_NOCTTY);
        if (fd < 0)
                return failure_set_errno(failure, -errno, "%s", terminal);
        if (strcmp(terminal, KERNEL_CONSOLE) != 0) {
                /* Not for the other one: the program's end hangs up its controlling terminal, and a serial line would
                 * lose what is not out yet. */
                (void) ioctl(fd, TIOCSCTTY, 0);
                set_raw_output(fd);
        }
        /* Images log to /dev/stdout, which opens the terminal again. */
        (void) fchown(fd, account->uid, (gid_t) -1);
        for (int i = 0; i <= STDERR_FILENO; i++)
                if (dup2(fd, i) < 0)
                        return failure_set_errno(failure, -errno, "%s", terminal);
        if (fd > STDERR_FILENO)
                (void) close_fd(fd);
        return 0;
}

static void reset_signals(void) {
        struct sigaction action = {.sa_handler = SIG_DFL};
        sigset_t none;

        for (int i = 1; i < NSIG; i++)
                (void) sigaction(i, &action, NULL);
        (void) sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Goes to path, making what is missing of it, for the user. */
static int enter_directory(const char *path, const struct account *account, struct failure *failure) {
        char copy[PATH_MAX];
        size_t len = strlen(path);

        if (len >= sizeof(copy))
                return failure_set(failure, -ENAMETOOLONG, "workdir of %zu bytes; at most %zu are accepted", len,
                        sizeof(copy) - 1);
        memcpy(copy, path, len + 1);
        for (size_t i = 1; i <= len; i++) {
                if (path[i] != '/' && path[i] != 0)
                        continue;
                copy[i] = 0;
                if (mkdir(copy, 0755) == 0)
                        (void) chown(copy, account->uid, account->gid);
                copy[i] = path[i];
        }
        return chdir(path) < 0 ? failure_set_errno(failure, -errno, "workdir %s", path) : 0;
}

/* The supplementary groups and the primary one: a file that is closed to a group is closed to all who have it, also
 * after they have made another group their own (CVE-2022-36109). */
static int set_groups(const struct account *account) {
        gid_t groups[ACCOUNT_GROUPS_MAX + 1];
        size_t n = 0;

        groups[n++] = account->gid;
        for (size_t i = 0; i < account->n_groups; i++)
                if (account->groups[i] != account->gid)
                        groups[n++] = account->groups[i];
        return setgroups(n, groups);
}

static int become(const struct account *account, struct failure *failure) {
        struct rlimit files = {FILES_SOFT, FILES_HARD};

        (void) setrlimit(RLIMIT_NOFILE, &files);
        if (set_groups(account) < 0 || setresgid(account->gid, account->gid, account->gid) < 0 ||
                setresuid(account->uid, account->uid, account->uid) < 0)
                return failure_set_errno(failure, -errno, "becoming user %u, group %u", account->uid, account->gid);
        return 0;
}

static int run(const struct boot_message *message, const struct account *account, char *const *environment,
        const char *terminal, struct failure *failure) {
        int r;

        (void) setsid();
        (void) setpriority(PRIO_PROCESS, 0, 0);
        (void) umask(022);
        reset_signals();
        r = set_streams(terminal, account, failure);
        if (r < 0)
                return r;
        r = enter_directory(message->workdir, account, failure);
        if (r < 0)
                return r;
        r = become(account, failure);
        if (r < 0)
                return r;
        return program_execute(message->args.items, environment, failure);
}

int child_start(const struct boot_message *message, const char *terminal, const struct account *account,
        char *const *environment, struct child *ret, struct failure *failure) {
        int fds[2];
        pid_t pid;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return failure_set_errno(failure, -errno, "starting the program");
        pid = fork();
        if (pid < 0) {
                int r = -errno;

                (void) close_fd(fds[0]);
                (void) close_fd(fds[1]);
                return failure_set_errno(failure, r, "starting the program");
        }
        if (pid == 0) {
                (void) run(message, account, environment, terminal, failure);
                (void) write_all(fds[1], failure->text, strlen(failure->text));
                _exit(127);
        }
        (void) close_fd(fds[1]);
        (void) fcntl(fds[0], F_SETFL, O_NONBLOCK);
        *ret = (struct child){.pid = pid, .result_fd = fds[0]};
        return 0;
}

int child_result(struct child *child, struct failure *failure) {
        char text[FAILURE_TEXT_MAX];
        ssize_t n;

        n = read(child->result_fd, text, sizeof(text) - 1);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        child->result_fd = close_fd(child->result_fd);
        if (n == 0)
                return 1;
        text[n < 0 ? 0 : n] = 0;
        return failure_set(failure, -ENOEXEC, "%s", n < 0 ? "starting the program failed" : text);
}
