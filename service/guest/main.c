/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mcp-guest-init, PID 1 of a Linux microVM: from the initrd to the program of the image, and to the end of the VM.
 * Whatever goes wrong is said on the console and to the host, and ends in a power-off, never in a kernel panic. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/account.h"
#include "guest/boot-message.h"
#include "guest/child.h"
#include "guest/console.h"
#include "guest/credential-files.h"
#include "guest/environment.h"
#include "guest/modules.h"
#include "guest/mounts.h"
#include "guest/net.h"
#include "guest/notify.h"
#include "guest/port.h"
#include "guest/probes.h"
#include "guest/rootfs.h"
#include "guest/settings.h"
#include "guest/supervise.h"
#include "shared/fd.h"

#define BOOT_ITEM_PATH "/sys/firmware/qemu_fw_cfg/by_name/" GUEST_BOOT_ITEM "/raw"
#define MODULES_LIST "/modules.list"
#define ACCOUNT_FILE_MAX (4U * 1024U * 1024U)
#define PORT_WAIT_USEC (5U * 1000U * 1000U)
#define FLUSH_USEC (1000U * 1000U)

static struct port port = {.fd = -1};
static const char *terminal = "/dev/null"; /* the program's */

static void on_crash(int number) {
        static const char text[] = "mcp-guest-init: crashed, powering off\n";
        int fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_NONBLOCK);

        (void) write_all(fd, text, sizeof(text) - 1);
        (void) reboot(RB_POWER_OFF);
        _exit(1);
}

static void catch_crashes(void) {
        static const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
        struct sigaction action = {.sa_handler = on_crash};

        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
                (void) sigaction(numbers[i], &action, NULL);
}

static int load_boot_message(struct boot_message *ret, struct failure *failure) {
        _cleanup_close_ int fd = -1;
        char *data = NULL;
        size_t len;
        int r;

        fd = open(BOOT_ITEM_PATH, O_RDONLY | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT)
                fd = open("/" GUEST_BOOT_FILE, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return failure_set_errno(
                        failure, -errno, "boot message: neither %s nor /%s", BOOT_ITEM_PATH, GUEST_BOOT_FILE);
        r = read_file(fd, GUEST_BOOT_MAX, &data, &len);
        if (r < 0)
                return failure_set_errno(failure, r, "boot message");
        r = boot_message_parse(data, len, ret, failure);
        free(data);
        return r;
}

/* A file of the image; one that is missing reads as NULL. */
static int read_account_file(const char *path, char **ret, struct failure *failure) {
        _cleanup_close_ int fd = -1;
        int r;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return errno == ENOENT || errno == ENOTDIR ? 0 : failure_set_errno(failure, -errno, "%s", path);
        r = read_file(fd, ACCOUNT_FILE_MAX, ret, NULL);
        return r < 0 ? failure_set_errno(failure, r, "%s", path) : 0;
}

static int find_account(const char *user, struct account *ret, struct failure *failure) {
        char *passwd = NULL, *group = NULL;
        int r;

        r = read_account_file("/etc/passwd", &passwd, failure);
        if (r >= 0)
                r = read_account_file("/etc/group", &group, failure);
        if (r >= 0)
                r = account_resolve(user, passwd, group, ret, failure);
        free(passwd);
        free(group);
        return r;
}

static int start_program(const struct boot_message *message, struct child *ret, struct failure *failure) {
        static struct account account;
        const char *own[4] = {};
        char **environment, watchdog[64];
        size_t n = 0;
        int r;

        r = find_account(message->user, &account, failure);
        if (r < 0)
                return r;
        mounts_give(&account);
        r = credential_files_make(&account, failure);
        if (r < 0)
                return r;
        if (r > 0)
                own[n++] = "CREDENTIALS_DIRECTORY=" GUEST_CREDENTIALS_DIRECTORY;
        if (message->ready.kind == PROBE_MESSAGE || message->health.kind == PROBE_MESSAGE)
                own[n++] = "NOTIFY_SOCKET=" NOTIFY_PATH;
        if (message->health.kind == PROBE_MESSAGE) {
                (void) snprintf(watchdog, sizeof(watchdog), "WATCHDOG_USEC=%" PRIu64, message->health.interval);
                own[n++] = watchdog;
        }
        environment = environment_new(&message->environment, account.home, own);
        if (!environment)
                return failure_set_errno(failure, -ENOMEM, "environment");
        terminal = child_terminal(message);
        r = child_start(message, terminal, &account, environment, ret, failure);
        (void) environment_free(environment);
        return r;
}

static void say_hello(void) {
        uint8_t version[4];

        if (port_open(&port, PORT_WAIT_USEC) < 0)
                console_say("no port %s: the host hears nothing of this guest", GUEST_PORT_NAME);
        frame_put_u32(version, GUEST_WIRE_VERSION);
        port_send(&port, GUEST_HELLO, version, sizeof(version));
}

static int run(struct failure *failure) {
        static struct probes probes;
        struct boot_message message;
        struct child child;
        int r;

        r = rootfs_mount_kernel(failure);
        if (r < 0)
                return r;
        settings_apply();
        modules_load(MODULES_LIST);
        r = load_boot_message(&message, failure);
        if (r < 0)
                return r;
        r = rootfs_enter(message.root, failure);
        if (r < 0)
                return r;
        say_hello();
        r = rootfs_write_names(&message, failure);
        if (r < 0)
                return r;
        r = net_set_up(&message, failure);
        if (r < 0)
                return r;
        r = mounts_make(&message, failure);
        if (r < 0)
                return r;
        probes_open(&probes, &message);
        r = start_program(&message, &child, failure);
        if (r < 0)
                return r;
        return supervise(&child, message.stop_signal, &port, &probes, failure);
}

static void tell_failure(const struct failure *failure) {
        console_say("%s", failure->text);
        if (port.fd < 0)
                (void) port_open(&port, PORT_WAIT_USEC);
        port_send(&port, GUEST_ERROR, failure->text, strlen(failure->text));
}

/* The program's terminal was hung up with its session: open it again to see it empty. */
static void drain_terminals(void) {
        _cleanup_close_ int fd = open(terminal, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

        console_drain(fd);
        console_drain_own();
}

int main(void) {
        struct failure failure = {};

        if (getpid() != 1) {
                (void) fputs("mcp-guest-init is the first process of a virtual machine and does nothing elsewhere.\n",
                        stderr);
                return 1;
        }
        (void) reboot(RB_DISABLE_CAD);
        (void) umask(022);
        catch_crashes();
        supervise_prepare();

        if (run(&failure) < 0)
                tell_failure(&failure);
        port_flush(&port, FLUSH_USEC);
        supervise_end_all();
        sync();
        mounts_end();
        drain_terminals();
        port_flush(&port, FLUSH_USEC);
        for (;;) {
                (void) reboot(RB_POWER_OFF);
                (void) sleep(1);
        }
}
