/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What others do at the same time: fifty callers that start one VM, eight that do whatever they like, a guest that has
 * taken its monitor over, systemctl, and files that end anywhere. */
#include "../soak.h"
#include "rig.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define WEB ROOT "/vm/web"
#define MONITOR "mcp-vm@web.service"

static void create(Rig *r, const char *name) {
        g_autoptr(sd_bus_message) reply = rig_call(
                r, ROOT, MANAGER, "CreateVM", "sa{sv}", name, 2, "Image", "s", REFERENCE, "Accelerator", "s", "tcg");

        assert_good(reply);
}

static void run_web(Rig *r, const char *restart) {
        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "RunVM", "sa{sv}", "web", 3, "Image", "s",
                REFERENCE, "Accelerator", "s", "tcg", "Restart", "s", restart);

        assert_good(reply);
}

static void ready_web(Rig *r, const char *restart) {
        run_web(r, restart);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        rig_settle(r);
}

/* ---- Fifty starts ---- */

static void test_fifty_starts(void **state) {
        Rig *r = *state;
        Pending *starts[50];
        sd_bus *others[G_N_ELEMENTS(starts) / 2];
        unsigned good = 0, full = 0;

        create(r, "web");
        for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
                others[i] = rig_connect(r);
        for (size_t i = 0; i < G_N_ELEMENTS(starts); i++)
                starts[i] = rig_send(r, i % 2 ? r->caller : others[i / 2], WEB, VM, "Start", "a{sv}", 0);
        for (size_t i = 0; i < G_N_ELEMENTS(starts); i++) {
                until(r, starts[i]->reply);
                /* Beyond polkit's queue of one user, a caller hears that at once. */
                if (strcmp(reply_error(starts[i]->reply), ERROR("QuotaExceeded")) == 0)
                        full++;
                else if (*reply_error(starts[i]->reply))
                        assert_error(starts[i]->reply, ERROR("VMRunning"));
                else
                        good++;
                pending_free(starts[i]);
        }
        assert_int_equal(good, 1);
        assert_true(full < G_N_ELEMENTS(starts) - 1);
        until(r, trace_has(r, "changed /vm/web Ready=true"));
        rig_settle(r);
        assert_int_equal(unit_runs(r, MONITOR), 1);
        assert_property(r, WEB, VM, "BootId", "1");
        assert_property(r, ROOT, MANAGER, "RunningCount", "1");
        for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
                (void) sd_bus_flush_close_unref(others[i]);
}

/* ---- Random operations ---- */

#define CLIENTS 8U
#define NAMES 4U /* and no networks: helpers of the rig have one uid, of which the daemon takes four connections at a time */

static Pending *send_anything(Rig *r, sd_bus *bus, GRand *random) {
        g_autofree char *name = g_strdup_printf("vm%d", g_rand_int_range(random, 0, NAMES));
        g_autofree char *path = g_strconcat(ROOT "/vm/", name, NULL), *job = NULL;

        switch (g_rand_int_range(random, 0, 14)) {
        case 0:
        case 1:
                return rig_send(r, bus, ROOT, MANAGER, "CreateVM", "sa{sv}", name, 2, "Image", "s", REFERENCE,
                        "Network", "s", "none");
        case 2:
                return rig_send(r, bus, ROOT, MANAGER, "RunVM", "sa{sv}", name, 4, "Image", "s", REFERENCE, "Ephemeral",
                        "b", 1, "Restart", "s", "no", "Network", "s", "none");
        case 3:
        case 4:
        case 5:
                return rig_send(r, bus, path, VM, "Start", "a{sv}", 0);
        case 6:
        case 7:
                return rig_send(
                        r, bus, path, VM, "Stop", "ta{sv}", (uint64_t) g_rand_int_range(random, 0, 2) * 1000000, 0);
        case 8:
                return rig_send(r, bus, path, VM, "Remove", "a{sv}", 0);
        case 9:
                return rig_send(r, bus, path, VM, "Pause", NULL);
        case 10:
                return rig_send(r, bus, path, VM, "Resume", NULL);
        case 11:
                return rig_send(r, bus, path, VM, "Kill", "s", "KILL");
        case 12:
                return rig_send(
                        r, bus, path, VM, "Update", "a{sv}", 1, "MemoryMiB", "u", g_rand_int_range(random, 64, 256));
        default:
                job = g_strdup_printf(ROOT "/job/%d", g_rand_int_range(random, 1, 200));
                return rig_send(r, bus, job, JOB, "Cancel", NULL);
        }
}

static bool error_is_named(const char *name) {
        return !*name || g_str_has_prefix(name, ERROR("")) || strcmp(name, SD_BUS_ERROR_UNKNOWN_OBJECT) == 0 ||
               strcmp(name, SD_BUS_ERROR_NO_REPLY) == 0;
}

static bool all_is_over(Rig *r) {
        g_autofree char *count = rig_get(r, ROOT, MANAGER, "JobCount");

        return strcmp(count, "0") == 0;
}

/* What is said of each VM is true of its unit, and on disk. */
static void assert_invariants(Rig *r) {
        unsigned running = 0, defined = 0;
        g_autofree char *running_text = NULL, *count_text = NULL;

        for (unsigned i = 0; i < NAMES; i++) {
                g_autofree char *path = g_strdup_printf(ROOT "/vm/vm%u", i),
                                *unit = g_strdup_printf("mcp-vm@vm%u.service", i);
                g_autofree char *dir = g_strdup_printf("state/vms/vm%u", i),
                                *passt = g_strdup_printf("mcp-passt@vm%u.service", i);
                g_autofree char *state = rig_get(r, path, VM, "State");
                bool is_running = strcmp(state, "running") == 0 || strcmp(state, "paused") == 0;

                assert_int_equal(rig_has(r, dir), strchr(state, '.') == NULL);
                assert_int_equal(unit_runs(r, unit) > 0, is_running);
                if (!is_running)
                        assert_int_equal(unit_runs(r, passt), 0);
                running += is_running;
                defined += strchr(state, '.') == NULL;
        }
        running_text = g_strdup_printf("%u", running);
        count_text = g_strdup_printf("%u", defined);
        assert_property(r, ROOT, MANAGER, "RunningCount", running_text);
        assert_property(r, ROOT, MANAGER, "VMCount", count_text);
        until(r, rig_count_temporaries(r) == 0);
}

static void test_random(void **state) {
        Rig *r = *state;
        unsigned rounds = is_soak() ? 10000 : 400, errors = 0;
        guint32 seed = getenv("MCP_SEED") ? (guint32) atoi(getenv("MCP_SEED")) : g_random_int();
        g_autoptr(GRand) random = g_rand_new_with_seed(seed);
        sd_bus *clients[CLIENTS];
        Pending *pending[CLIENTS] = {};

        print_message("MCP_SEED=%u\n", seed);
        for (size_t i = 0; i < CLIENTS; i++)
                clients[i] = rig_connect(r);
        for (unsigned i = 0; i < rounds; i++) {
                Pending **p = &pending[g_rand_int_range(random, 0, CLIENTS)];

                if (*p) {
                        until(r, (*p)->reply);
                        if (!error_is_named(reply_error((*p)->reply)))
                                fail_msg("operation %u: %s", i, reply_error((*p)->reply));
                        errors += *reply_error((*p)->reply) != 0;
                        pending_free(*p);
                }
                *p = send_anything(r, clients[g_rand_int_range(random, 0, CLIENTS)], random);
                if (i % 100 == 99) {
                        until(r, all_is_over(r));
                        rig_settle(r);
                        assert_invariants(r);
                }
        }
        for (size_t i = 0; i < CLIENTS; i++) {
                if (pending[i])
                        until(r, pending[i]->reply);
                pending_free(pending[i]);
        }
        until(r, all_is_over(r));
        rig_settle(r);
        assert_invariants(r);
        print_message("%u operations, %u of them refused\n", rounds, errors);
        assert_true(errors < rounds);
        for (size_t i = 0; i < CLIENTS; i++)
                (void) sd_bus_flush_close_unref(clients[i]);
}

/* ---- Nothing happens ---- */

#define IDLE 20U

/* How often the daemon's threads have gone to sleep: each time is a wake-up before it. */
static uint64_t count_sleeps(Rig *r) {
        g_autofree char *tasks = g_strdup_printf("/proc/%d/task", (int) r->daemon_pid);
        g_autoptr(GDir) dir = g_dir_open(tasks, 0, NULL);
        const char *task;
        uint64_t n = 0;

        assert_non_null(dir);
        while ((task = g_dir_read_name(dir))) {
                g_autofree char *path = g_build_filename(tasks, task, "status", NULL), *text = NULL;
                const char *line;

                if (g_file_get_contents(path, &text, NULL, NULL) && (line = strstr(text, "\nvoluntary_ctxt_switches:")))
                        n += g_ascii_strtoull(line + strlen("\nvoluntary_ctxt_switches:"), NULL, 10);
        }
        return n;
}

static void test_idle(void **state) {
        Rig *r = *state;
        uint64_t before;

        for (unsigned i = 0; i < IDLE; i++) {
                g_autofree char *name = g_strdup_printf("idle%u", i), *done = g_strdup_printf("JobRemoved %u " ROOT "/job/%u done", i + 1, i + 1);
                g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "RunVM", "sa{sv}", name, 2, "Image", "s", REFERENCE,
                        "Accelerator", "s", "tcg");

                assert_good(reply);
                until(r, trace_has(r, done));
        }
        rig_settle(r);
        rig_idle(r, G_USEC_PER_SEC);
        before = count_sleeps(r);
        rig_idle(r, 5 * G_USEC_PER_SEC);
        assert_int_equal(count_sleeps(r) - before, 0);
        assert_property(r, ROOT, MANAGER, "RunningCount", "20");
}

/* ---- A monitor in wrong hands ---- */

/* Says as much as the daemon takes, for two seconds: the daemon serves others, and writes nothing for it. */
static void test_flood(void **state) {
        static const char *const texts[] = {
                "{\"type\":\"state\",\"state\":\"paused\"}", "{\"type\":\"state\",\"state\":\"running\"}"};
        Rig *r = *state;
        g_autofree char *record = rig_path(r, "state/vms/web/meta.json");
        struct stat before, after;
        uint64_t deadline, begin;
        unsigned said = 0, calls = 0;
        FakeHelper *h;

        ready_web(r, "no");
        h = fake_find(r, MONITOR);
        assert_int_equal(stat(record, &before), 0);
        for (deadline = rig_deadline(2 * G_USEC_PER_SEC); rig_turn(r, deadline);) {
                while (send(h->fd, texts[said % 2], strlen(texts[said % 2]), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
                        said++;
                begin = rig_deadline(0);
                rig_assert_alive(r);
                assert_true(rig_deadline(0) - begin < 2 * G_USEC_PER_SEC);
                calls++;
        }
        assert_int_equal(stat(record, &after), 0);
        assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
        print_message("%u messages were taken, %u calls answered meanwhile\n", said, calls);
        assert_true(said < 2000); /* a burst, a hundred a second, and what the socket holds */
        assert_true(calls > 5);
}

/* ---- systemctl ---- */

/* systemctl stop before READY=1: the start was stopped, and nothing restarts it. */
static void test_stopped_while_starting(void **state) {
        Rig *r = *state;

        r->start[KIND_VM] = START_CANCELED;
        run_web(r, "always");
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 canceled"));
        rig_idle(r, G_USEC_PER_SEC / 2);
        assert_property(r, WEB, VM, "State", "stopped");
        assert_property(r, WEB, VM, "ExitReason", "killed");
        assert_property(r, WEB, VM, "RestartCount", "0");
        assert_int_equal(trace_find(r, "JobNew 2", 0), -1);
        until(r, rig_count_temporaries(r) == 0);
}

/* The monitor has its orders when systemd asks it to stop. */
static void test_stopped_while_booting(void **state) {
        Rig *r = *state;
        FakeHelper *h;

        r->play[KIND_VM] = play_nothing;
        run_web(r, "always");
        until(r, fake_heard(fake_find(r, MONITOR), "launch"));
        h = fake_find(r, MONITOR);
        fake_say(h, json_pack("{s:s, s:s, s:b}", "type", "state", "state", "stopping", "asked", 1));
        fake_exited(h, "killed", 137);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 canceled"));
        rig_idle(r, G_USEC_PER_SEC / 2);
        assert_property(r, WEB, VM, "State", "stopped");
        assert_property(r, WEB, VM, "RestartCount", "0");
}

/* systemctl start of a VM that may not run now: the unit is told so, and does not ask for ever. */
static void test_started_by_hand_in_vain(void **state) {
        Rig *r = *state;
        uint32_t mib =
                (uint32_t) ((uint64_t) sysconf(_SC_PHYS_PAGES) * (uint64_t) sysconf(_SC_PAGE_SIZE) / 1048576 * 6 / 10);
        g_autoptr(sd_bus_message) big = NULL, other = NULL;
        FakeHelper *h;

        big = rig_call(r, ROOT, MANAGER, "RunVM", "sa{sv}", "big", 3, "Image", "s", REFERENCE, "Accelerator", "s",
                "tcg", "MemoryMiB", "u", mib);
        assert_good(big);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        other = rig_call(
                r, ROOT, MANAGER, "CreateVM", "sa{sv}", "web", 2, "Image", "s", REFERENCE, "MemoryMiB", "u", mib);
        assert_good(other);
        h = fake_connect(r, MONITOR, NULL);
        until(r, h->closed);
        assert_non_null(fake_heard(h, "goodbye"));
        assert_property(r, WEB, VM, "State", "created");
}

/* ---- A start that a former daemon began ---- */

static void test_adopted_boot_ends_in_time(void **state) {
        Rig *r = *state;
        FakeHelper *h;

        rig_stop_daemon(r, SIGTERM);
        rig_write(r, "runtime.conf.d/boot.conf", "[Runtime]\nBootTimeoutSec=2\n");
        rig_start_daemon(r);
        r->play[KIND_VM] = play_nothing;
        run_web(r, "no");
        until(r, fake_heard(fake_find(r, MONITOR), "launch"));
        rig_stop_daemon(r, SIGKILL);
        fake_close(fake_find(r, MONITOR));
        rig_start_daemon(r);
        h = fake_connect(r, MONITOR,
                json_pack("{s:s, s:i, s:i, s:s, s:i, s:I, s:b}", "type", "hello", "version", 1, "boot", 1, "state",
                        "starting", "pid", 4242, "started", (json_int_t) g_get_real_time(), "ready", 0));
        until(r, fake_heard(h, "stop"));
        fake_exited(h, "killed", 137);
        until(r, trace_has(r, "changed /vm/web State=failed"));
        assert_property(r, WEB, VM, "StateReason", "the guest was not up in time (BootTimeoutSec= in runtime.conf)");
}

/* ---- Files cut anywhere ---- */

#define OTHERS_MAX 16U

/* What lies in the cache, with what is in it. */
static size_t find_others(Rig *r, char **names, char **texts) {
        static const char *const directories[] = {"state/cache", "state/cache/jobs"};
        size_t n = 0;

        for (size_t i = 0; i < G_N_ELEMENTS(directories); i++) {
                g_autofree char *path = rig_path(r, directories[i]);
                g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
                const char *name;

                while (dir && n < OTHERS_MAX && (name = g_dir_read_name(dir)))
                        if (g_str_has_suffix(name, ".json") || i > 0) {
                                names[n] = g_build_filename(directories[i], name, NULL);
                                texts[n] = rig_read(r, names[n]);
                                n++;
                        }
        }
        return n;
}

/* What is no object's record, cut at the same part of its length. */
static void cut_others(Rig *r, char *const *names, char *const *texts, size_t n, size_t of) {
        for (size_t i = 0; names[i]; i++) {
                g_autofree char *text = g_strndup(texts[i], strlen(texts[i]) * n / of);

                rig_write(r, names[i], text);
        }
}

/* Each record at each of its bytes: the daemon starts, what is broken is said, the rest works. */
static void test_cut_records(void **state) {
        Rig *r = *state;
        g_autofree char *vm = NULL, *image_name = g_strdup_printf("state/images/%u/" HEX ".json", r->uid),
                        *image = NULL;
        g_autoptr(sd_bus_message) done = NULL;
        char *others[OTHERS_MAX + 1] = {}, *texts[OTHERS_MAX] = {};
        size_t step = is_soak() ? 1 : 41, cuts = 0, len;

        create(r, "web");
        create(r, "good");
        done = rig_call(
                r, ROOT, MANAGER, "RunVM", "sa{sv}", "other", 2, "Image", "s", REFERENCE, "Accelerator", "s", "tcg");
        assert_good(done);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        fake_exited(fake_find(r, "mcp-vm@other.service"), "guest-exit", 0);
        until(r, trace_has(r, "changed /vm/other State=stopped"));
        rig_settle(r);
        vm = rig_read(r, "state/vms/web/meta.json");
        image = rig_read(r, image_name);
        len = strlen(vm);
        assert_true(find_others(r, others, texts) >= 3); /* a job, the profiles, KVM */
        for (size_t n = 0; n <= len; n += n + step > len && n < len ? len - n : step) {
                g_autofree char *text = g_strndup(vm, n), *image_text = g_strndup(image, MIN(n, strlen(image)));
                g_autofree char *got = NULL, *good = NULL;
                bool image_cut = n % 2 == 0 && n < strlen(image);

                rig_stop_daemon(r, SIGTERM);
                rig_write(r, "state/vms/web/meta.json", text);
                rig_write(r, "state/vms/web/exit", text);
                rig_write(r, "state/networks/cut.json", text);
                rig_write(r, "state/cache/kvm.json", text);
                rig_write(r, "state/cache/netd.json", text);
                cut_others(r, others, texts, n, len);
                rig_write(r, image_name, image_cut ? image_text : image);
                rig_start_daemon(r);
                got = rig_get(r, WEB, VM, "State");
                good = rig_get(r, ROOT "/vm/good", VM, "State");
                assert_string_equal(good, "created");
                assert_string_equal(got, n == len || (n == len - 1 && vm[n] == '\n') ? "created" : "failed");
                if (n < len - 1) {
                        g_autofree char *reason = rig_get(r, WEB, VM, "StateReason");

                        assert_true(*reason != 0);
                }
                cuts++;
        }
        print_message("%zu cuts of %zu bytes\n", cuts, len);
        for (size_t i = 0; others[i]; i++) {
                g_free(others[i]);
                g_free(texts[i]);
        }
}

/* What a broken record says may be its owner's secret. */
static void test_broken_record_is_no_window(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", "web", 2, "Image", "s",
                REFERENCE, "Environment", "as", 1, "KEY=s3cr3t");
        g_autofree char *text = NULL, *broken = NULL, *reason = NULL;
        g_auto(GStrv) parts = NULL;

        assert_good(reply);
        text = rig_read(r, "state/vms/web/meta.json");
        parts = g_strsplit(text, "KEY=s3cr3t", -1);
        assert_int_equal(g_strv_length(parts), 2);
        broken = g_strjoinv("s3cr3t without its sign", parts);
        rig_stop_daemon(r, SIGTERM);
        rig_write(r, "state/vms/web/meta.json", broken);
        rig_start_daemon(r);
        assert_property(r, WEB, VM, "State", "failed");
        reason = rig_get(r, WEB, VM, "StateReason");
        assert_null(strstr(reason, "s3cr3t"));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_fifty_starts, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_random, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_idle, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_flood, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_stopped_while_starting, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_stopped_while_booting, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_started_by_hand_in_vain, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_adopted_boot_ends_in_time, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_cut_records, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_broken_record_is_no_window, rig_setup, rig_teardown),
        };

        cmocka_set_test_filter(getenv("MCP_ONLY"));
        return cmocka_run_group_tests(tests, NULL, NULL);
}
