/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the bus daemon, mcp-runtimed and the test's directory. */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults.h"
#include "shared/fd.h"

/* ---- Files ---- */

char *rig_path(Rig *r, const char *name) {
        return g_build_filename(r->dir, name, NULL);
}

void rig_write(Rig *r, const char *name, const char *text) {
        g_autofree char *path = rig_path(r, name), *parent = g_path_get_dirname(path);

        assert_int_equal(g_mkdir_with_parents(parent, 0700), 0);
        assert_true(g_file_set_contents(path, text, -1, NULL));
}

bool rig_has(Rig *r, const char *name) {
        g_autofree char *path = rig_path(r, name);
        struct stat st;

        return lstat(path, &st) == 0;
}

char *rig_read(Rig *r, const char *name) {
        g_autofree char *path = rig_path(r, name);
        char *text = NULL;

        (void) g_file_get_contents(path, &text, NULL, NULL);
        return text;
}

static unsigned n_temporaries;

static int count_temporary(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        n_temporaries += g_str_has_prefix(path + ftw->base, ".tmp-");
        return 0;
}

unsigned rig_count_temporaries(Rig *r) {
        g_autofree char *state = rig_path(r, "state");

        n_temporaries = 0;
        assert_int_equal(nftw(state, count_temporary, 16, FTW_PHYS), 0);
        return n_temporaries;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return remove(path);
}

/* As the daemon notes it: nothing is to be hashed. */
static char *stamp_text(Rig *r, const char *name) {
        g_autofree char *path = rig_path(r, name);
        struct stat st;

        assert_int_equal(stat(path, &st), 0);
        return g_strdup_printf("{\"device\":%llu,\"inode\":%llu,\"size\":%lld,\"mtime\":%lld,\"ctime\":%lld}",
                (unsigned long long) st.st_dev, (unsigned long long) st.st_ino, (long long) st.st_size,
                st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec, st.st_ctim.tv_sec * 1000000000LL + st.st_ctim.tv_nsec);
}

void rig_add_image_of(Rig *r, uint32_t uid, const char *hex, const char *reference) {
        g_autofree char *record = g_strdup_printf("state/images/%u/%s.json", uid, hex);
        g_autofree char *root = g_strdup_printf("state/images/%u/%s.squashfs", uid, hex);
        g_autofree char *archive = g_strdup_printf("state/images/%u/%s.oci", uid, hex);
        g_autofree char *stamp = (rig_write(r, root, "root"), stamp_text(r, root));
        g_autofree char *text = g_strdup_printf(
                "{\"version\":1,\"references\":[\"%s\"],\"digest\":\"sha256:%s\",\"root_hash\":\"%s\",\"size\":4,\"architecture\":\"x86_64\","
                "\"kind\":\"elf\",\"config\":{\"entrypoint\":[\"/web\"],\"cmd\":[],\"env\":[],\"user\":\"\",\"workdir\":\"\","
                "\"stop_signal\":\"\",\"ports\":[\"80/tcp\"]},\"created_at\":1000000,\"archive_size\":7,\"stamp\":%s}",
                reference, hex, hex, stamp);

        rig_write(r, archive, "archive");
        rig_write(r, record, text);
}

void rig_add_image(Rig *r, const char *hex, const char *reference) {
        rig_add_image_of(r, r->uid, hex, reference);
}

/* ---- Children ---- */

static void in_child(void) {
        sigset_t none;

        (void) sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* The project's own policy file, for the user who runs the test. */
static void write_bus_policy(Rig *r) {
        g_autofree char *text = NULL, *uid = g_strdup_printf("user=\"%u\"", r->uid), *policy = NULL;
        g_auto(GStrv) parts = NULL;

        assert_true(g_file_get_contents(BUS_POLICY, &text, NULL, NULL));
        parts = g_strsplit(text, "user=\"mcp-runtime\"", -1);
        assert_int_equal(g_strv_length(parts), 2);
        policy = g_strjoinv(uid, parts);
        rig_write(r, "policy.conf", policy);
}

/* As the system bus is: nothing may be owned or called but what a policy allows. */
static void write_bus_config(Rig *r) {
        g_autofree char *text = g_strdup_printf(
                "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN\"\n"
                " \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
                "<busconfig><type>system</type><listen>unix:path=%s/bus</listen><auth>EXTERNAL</auth>\n"
                "<policy context=\"default\"><allow user=\"*\"/><deny own=\"*\"/><deny send_type=\"method_call\"/>\n"
                "<allow send_type=\"signal\"/><allow send_requested_reply=\"true\" send_type=\"method_return\"/>\n"
                "<allow send_requested_reply=\"true\" send_type=\"error\"/><allow receive_type=\"method_call\"/>\n"
                "<allow receive_type=\"method_return\"/><allow receive_type=\"error\"/><allow receive_type=\"signal\"/>\n"
                "<allow send_destination=\"org.freedesktop.DBus\"/>\n"
                "<allow own=\"org.freedesktop.systemd1\"/><allow send_destination=\"org.freedesktop.systemd1\"/>\n"
                "<allow own=\"org.freedesktop.PolicyKit1\"/><allow send_destination=\"org.freedesktop.PolicyKit1\"/>\n"
                "</policy><include>policy.conf</include>\n"
                "<limit name=\"max_connections_per_user\">2000</limit><limit name=\"max_replies_per_connection\">5000</limit>\n"
                "</busconfig>\n",
                r->dir);

        rig_write(r, "bus.conf", text);
}

static void start_bus(Rig *r) {
        g_autofree char *config = NULL, *argument = NULL, *print = NULL;
        int ready[2];
        char byte;

        write_bus_policy(r);
        write_bus_config(r);
        config = rig_path(r, "bus.conf");
        argument = g_strconcat("--config-file=", config, NULL);
        assert_int_equal(pipe2(ready, 0), 0);
        print = g_strdup_printf("--print-address=%d", ready[1]);
        r->bus_pid = fork();
        assert_true(r->bus_pid >= 0);
        if (r->bus_pid == 0) {
                in_child();
                (void) execlp("dbus-daemon", "dbus-daemon", "--nofork", "--nopidfile", "--nosyslog", argument, print, NULL);
                _exit(127);
        }
        (void) close(ready[1]);
        if (read(ready[0], &byte, 1) != 1)
                fail_msg("the private bus daemon did not start");
        (void) close(ready[0]);
        r->address = g_strdup_printf("unix:path=%s/bus", r->dir);
}

static void listen_launch(Rig *r) {
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        g_autofree char *path = rig_path(r, "launch");

        assert_true(strlen(path) < sizeof sa.sun_path);
        (void) strcpy(sa.sun_path, path);
        r->launch = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(r->launch >= 0);
        assert_int_equal(bind(r->launch, (struct sockaddr *) &sa, sizeof sa), 0);
        assert_int_equal(listen(r->launch, 128), 0);
}

static void write_daemon_config(Rig *r) {
        g_autofree char *text = g_strdup_printf(
                "[Runtime]\nStateDirectory=%1$s/state\nKernelDirectory=%1$s/boot\nModulesDirectory=%1$s/modules\nGuestInit=%1$s/init\n"
                "VolumeRoots=%1$s/srv\nPasst=/bin/true\nQEMU=/bin/false\n"
                "ReservedBytes=0\nImageBytesMax=67108864\n", /* so that the size of /tmp does not matter */
                r->dir);

        rig_write(r, "runtime.conf", text);
        rig_write(r, "boot/vmlinuz-6.1.0-test", "kernel");
        rig_write(r, "modules/6.1.0-test/modules.dep", "");
        rig_write(r, "init", "init");
        rig_write(r, "srv/program", "program");
        rig_write(r, "state/cache/.keep", "");
}

static void exec_daemon(Rig *r) {
        g_autofree char *config = rig_path(r, "runtime.conf"), *log = rig_path(r, "daemon.log");
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

        in_child();
        (void) dup2(fd, STDERR_FILENO);
        (void) setenv("DBUS_SYSTEM_BUS_ADDRESS", r->address, 1);
        (void) setenv("MCP_HOST_BOOT", r->host_boot, 1);
        fake_fd_store_pass(r);
        if (r->preload)
                faults_load(r->preload, r->faults);
        (void) execl(DAEMON, "mcp-runtimed", "--config", config, NULL);
        _exit(127);
}

static bool name_is_owned(Rig *r, bool wanted) {
        g_autoptr(Pending) p = NULL;
        sd_bus_message *m = NULL;
        int owned = 0;

        assert_true(sd_bus_message_new_method_call(r->caller, &m, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner") >= 0);
        assert_true(sd_bus_message_append(m, "s", NAME) >= 0);
        p = rig_send_message(r, r->caller, m);
        until(r, p->reply);
        assert_true(sd_bus_message_read(p->reply, "b", &owned) >= 0);
        return (owned != 0) == wanted;
}

/* Nothing and nobody is left of the host's last boot. */
static void look_at_host(Rig *r) {
        if (g_strcmp0(r->last_boot, r->host_boot) == 0)
                return;
        fake_fd_store_forget(r);
        g_hash_table_remove_all(r->known);
        g_free(r->last_boot);
        r->last_boot = g_strdup(r->host_boot);
}

void rig_fork_daemon(Rig *r) {
        fake_fd_store_take(r);
        look_at_host(r);
        r->daemon_pid = fork();
        assert_true(r->daemon_pid >= 0);
        if (r->daemon_pid == 0)
                exec_daemon(r);
}

void rig_await_daemon(Rig *r) {
        until(r, name_is_owned(r, true));
        trace_look(r);
}

void rig_start_daemon(Rig *r) {
        rig_fork_daemon(r);
        rig_await_daemon(r);
}

static bool daemon_has_ended(Rig *r, int *status) {
        return waitpid(r->daemon_pid, status, WNOHANG) == r->daemon_pid;
}

/* Connections that a dead daemon had not accepted would be the next one's, and with its last questions to systemd they would
 * take the identities of those that are made from now on. */
static void forget_connections(Rig *r) {
        g_autoptr(Pending) p = NULL;
        sd_bus_message *m = NULL;
        int fd;

        assert_true(sd_bus_message_new_method_call(r->caller, &m, "org.freedesktop.systemd1", "/", "org.freedesktop.DBus.Peer", "Ping") >= 0);
        p = rig_send_message(r, r->caller, m);
        until(r, p->reply);
        while ((fd = accept4(r->launch, NULL, NULL, SOCK_CLOEXEC)) >= 0)
                (void) close(fd);
        g_queue_clear_full(&r->identities, g_free);
}

void rig_stop_daemon(Rig *r, int sig) {
        int status = 0;

        assert_int_equal(kill(r->daemon_pid, sig), 0);
        until(r, daemon_has_ended(r, &status));
        r->daemon_pid = 0;
        until(r, name_is_owned(r, false));
        forget_connections(r);
        if (sig == SIGTERM && !(WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
                rig_dump(r);
                fail_msg("the daemon did not end cleanly: status %#x", status);
        }
}

/* ---- Rig ---- */

static void make_rig(Rig *r) {
        r->uid = geteuid();
        r->dir = g_dir_make_tmp("mcp-bus-XXXXXX", NULL);
        assert_non_null(r->dir);
        r->host_boot = g_strdup("5f4a4c06-0000-4000-8000-000000000001");
        r->launch = -1;
        r->helpers = g_ptr_array_new_with_free_func(fake_free);
        r->questions = g_ptr_array_new_with_free_func(question_free);
        r->trace = g_ptr_array_new_with_free_func(g_free);
        r->known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        r->units = g_string_new(NULL);
        r->unchanged = g_string_new(NULL);
        r->alien = g_string_new(NULL);
        r->play[KIND_VM] = play_monitor;
        r->play[KIND_WORKER] = play_worker;
        r->play[KIND_PASST] = play_passt;
        r->play[KIND_PROBE] = play_probe;
        r->play[KIND_FETCH] = play_fetch;
        r->play[KIND_TPM] = play_nothing;
        (void) signal(SIGPIPE, SIG_IGN);
        assert_true(sd_event_new(&r->event) >= 0);
}

int rig_setup_without_daemon(void **state) {
        Rig *r = g_new0(Rig, 1);

        *state = r;
        make_rig(r);
        start_bus(r);
        listen_launch(r);
        write_daemon_config(r);
        rig_add_image(r, HEX, REFERENCE);
        r->caller = rig_connect(r);
        fake_systemd_start(r);
        fake_fd_store_start(r);
        fake_polkit_start(r);
        trace_watch(r);
        return 0;
}

int rig_setup(void **state) {
        (void) rig_setup_without_daemon(state);
        rig_start_daemon(*state);
        return 0;
}

static void end_child(pid_t pid) {
        if (pid > 0) {
                (void) kill(pid, SIGKILL);
                (void) waitpid(pid, NULL, 0);
        }
}

static bool check_daemon(Rig *r) {
        uint64_t deadline = rig_deadline(PATIENCE_USEC);
        int status = 0;

        if (r->daemon_pid <= 0)
                return true;
        (void) kill(r->daemon_pid, SIGTERM);
        while (waitpid(r->daemon_pid, &status, WNOHANG) == 0)
                if (!rig_turn(r, deadline)) {
                        print_error("the daemon does not end\n");
                        return false;
                }
        r->daemon_pid = 0;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return true;
        print_error("the daemon ended with status %#x\n", status);
        return false;
}

static void free_rig(Rig *r) {
        g_ptr_array_unref(r->helpers);
        g_ptr_array_unref(r->questions);
        g_ptr_array_unref(r->trace);
        g_hash_table_unref(r->known);
        g_queue_clear_full(&r->waiting, g_free);
        g_queue_clear_full(&r->identities, g_free);
        sd_bus_flush_close_unref(r->caller);
        sd_bus_flush_close_unref(r->systemd);
        sd_bus_flush_close_unref(r->polkit);
        sd_event_unref(r->event);
        (void) close_fd(r->launch);
        fake_fd_store_free(r);
        (void) g_string_free(r->units, TRUE);
        (void) g_string_free(r->unchanged, TRUE);
        (void) g_string_free(r->alien, TRUE);
        (void) nftw(r->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        g_free(r->host_boot);
        g_free(r->last_boot);
        g_free(r->faults);
        g_free(r->address);
        g_free(r->dir);
        g_free(r);
}

int rig_teardown(void **state) {
        Rig *r = *state;
        bool good = check_daemon(r);

        if (r->unchanged->len > 0) {
                print_error("signalled without a change: %s\n", r->unchanged->str);
                good = false;
        }
        if (r->alien->len > 0) {
                print_error("%s\n", r->alien->str);
                good = false;
        }
        if (!good)
                rig_dump(r);
        end_child(r->daemon_pid);
        end_child(r->bus_pid);
        free_rig(r);
        return good ? 0 : -1;
}

void rig_dump(Rig *r) {
        g_autofree char *log = rig_read(r, "daemon.log");

        /* cmocka's print_error() cuts what is long. */
        (void) fprintf(stderr, "---- the daemon's log\n%s---- units: %s\n", log ?: "", r->units->str);
        (void) fprintf(stderr, "---- not looked up: %u, not connected: %u\n", g_queue_get_length(&r->identities), g_queue_get_length(&r->waiting));
        trace_dump(r);
}

/* ---- Turning ---- */

uint64_t rig_deadline(uint64_t usec) {
        return now_monotonic() + usec;
}

bool rig_turn(Rig *r, uint64_t deadline) {
        uint64_t now = now_monotonic();

        if (now >= deadline)
                return false;
        (void) sd_event_run(r->event, MIN(deadline - now, 20000));
        return true;
}

void rig_idle(Rig *r, uint64_t usec) {
        uint64_t deadline = rig_deadline(usec);

        while (rig_turn(r, deadline))
                ;
}

void rig_assert_alive(Rig *r) {
        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, "org.freedesktop.DBus.Peer", "Ping", NULL);

        assert_good(reply);
}

/* Three round trips: what a message set off (a call of systemd, its answer, a signal) has gone through by then. */
void rig_settle(Rig *r) {
        for (int i = 0; i < 3; i++) {
                rig_assert_alive(r);
                rig_idle(r, 5000);
        }
}

/* ---- Calls ---- */

sd_bus *rig_connect(Rig *r) {
        sd_bus *bus = NULL;

        assert_true(sd_bus_new(&bus) >= 0);
        assert_true(sd_bus_set_address(bus, r->address) >= 0);
        assert_true(sd_bus_set_bus_client(bus, true) >= 0);
        assert_true(sd_bus_start(bus) >= 0);
        assert_true(sd_bus_attach_event(bus, r->event, SD_EVENT_PRIORITY_NORMAL) >= 0);
        return bus;
}

/* The kernel tells the peer the effective user of connect(2); the socket's path is looked up as root. */
sd_bus *rig_connect_as(Rig *r, uint32_t uid) {
        sd_bus *bus;

        assert_int_equal(seteuid(uid), 0);
        (void) setfsuid(0);
        bus = rig_connect(r);
        assert_int_equal(seteuid(0), 0);
        return bus;
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Pending *p = userdata;

        p->reply = sd_bus_message_ref(m);
        if (p->note)
                trace_note(p->rig, p->note);
        return 0;
}

Pending *rig_send_message(Rig *r, sd_bus *bus, sd_bus_message *m) {
        Pending *p = g_new0(Pending, 1);

        p->rig = r;
        assert_true(sd_bus_call_async(bus, &p->slot, m, on_reply, p, UINT64_MAX) >= 0);
        sd_bus_message_unref(m);
        return p;
}

sd_bus_message *rig_message(Rig *r, sd_bus *bus, const char *path, const char *interface, const char *member) {
        sd_bus_message *m = NULL;

        assert_true(sd_bus_message_new_method_call(bus, &m, NAME, path, interface, member) >= 0);
        return m;
}

static Pending *sendv(Rig *r, sd_bus *bus, const char *path, const char *interface, const char *member, const char *types, va_list ap) {
        sd_bus_message *m = rig_message(r, bus, path, interface, member);

        if (types)
                assert_true(sd_bus_message_appendv(m, types, ap) >= 0);
        return rig_send_message(r, bus, m);
}

Pending *rig_send(Rig *r, sd_bus *bus, const char *path, const char *interface, const char *member, const char *types, ...) {
        Pending *p;
        va_list ap;

        va_start(ap, types);
        p = sendv(r, bus, path, interface, member, types, ap);
        va_end(ap);
        p->note = g_strconcat("reply ", member, NULL);
        return p;
}

void pending_free(Pending *p) {
        if (!p)
                return;
        sd_bus_slot_unref(p->slot);
        sd_bus_message_unref(p->reply);
        g_free(p->note);
        g_free(p);
}

sd_bus_message *rig_call(Rig *r, const char *path, const char *interface, const char *member, const char *types, ...) {
        g_autoptr(Pending) p = NULL;
        va_list ap;

        va_start(ap, types);
        p = sendv(r, r->caller, path, interface, member, types, ap);
        va_end(ap);
        p->note = g_strconcat("reply ", member, NULL);
        until(r, p->reply);
        return g_steal_pointer(&p->reply);
}

const char *reply_error(sd_bus_message *reply) {
        const sd_bus_error *e = sd_bus_message_get_error(reply);

        return e ? e->name : "";
}

void assert_error(sd_bus_message *reply, const char *name) {
        const sd_bus_error *e = sd_bus_message_get_error(reply);

        if (!e)
                fail_msg("a good reply where %s should be", name);
        else if (strcmp(e->name, name) != 0)
                fail_msg("%s (%s) where %s should be", e->name, e->message, name);
        else if (!e->message || !*e->message)
                fail_msg("%s says nothing", name);
}

void assert_good(sd_bus_message *reply) {
        const sd_bus_error *e = sd_bus_message_get_error(reply);

        if (e)
                fail_msg("%s: %s", e->name, e->message);
}

char *rig_get(Rig *r, const char *path, const char *interface, const char *property) {
        g_autoptr(sd_bus_message) reply =
                rig_call(r, path, "org.freedesktop.DBus.Properties", "Get", "ss", interface, property);
        GString *text = g_string_new(NULL);

        if (sd_bus_message_is_method_error(reply, NULL))
                g_string_append(text, reply_error(reply));
        else
                append_value(text, reply);
        return g_string_free(text, FALSE);
}

void assert_property(Rig *r, const char *path, const char *interface, const char *property, const char *value) {
        g_autofree char *now = rig_get(r, path, interface, property);

        if (strcmp(now, value) != 0) {
                rig_dump(r);
                fail_msg("%s of %s is '%s' where '%s' should be", property, path, now, value);
        }
}
