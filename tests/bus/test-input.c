/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bad input, method by method: a named error, nothing changed, and the daemon goes on. */
#include "rig.h"

#include <fcntl.h>
#include <unistd.h>

#include "shared/fd.h"

#define WEB ROOT "/vm/web"

static void create_web(Rig *r) {
        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", "web", 1, "Image", "s", REFERENCE);

        assert_good(reply);
}

static void assert_vm_count(Rig *r, const char *count) {
        assert_property(r, ROOT, MANAGER, "VMCount", count);
}

/* ---- Names ---- */

static void test_names(void **state) {
        static const char *const names[] = {"", ".", "..", "-web", ".web", "Web", "web/1", "../web", "web 1", "web\n", "w\303\244b", "web@1",
                "a123456789012345678901234567890123456789012345678901234567890123", "\033[31m"};
        static const char *const methods[] = {"CreateVM", "RunVM"};
        Rig *r = *state;

        for (size_t m = 0; m < G_N_ELEMENTS(methods); m++)
                for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
                        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, methods[m], "sa{sv}", names[i], 1, "Image", "s", REFERENCE);
                        const sd_bus_error *e = sd_bus_message_get_error(reply);

                        assert_error(reply, ERROR("InvalidName"));
                        for (const char *p = e->message; *p; p++)
                                assert_true((unsigned char) *p >= 0x20 && *p != 0x7f); /* safe to show */
                }
        assert_vm_count(r, "0");
        assert_int_equal(r->questions->len, 0); /* nobody is asked about what cannot be */
}

/* The largest message a bus takes is a name like any other: too long. */
static void test_huge_name(void **state) {
        static const char *const strings[] = {"GetVM", "ImageExists", "GetImage"};
        static const char *const specs[] = {"RunVM", "ValidateVM", "CreateVM"};
        static const char *const references[] = {"ImportImageFile"};
        Rig *r = *state;
        g_autofree char *huge = g_strnfill(31U * 1024U * 1024U, 'a');

        for (size_t i = 0; i < G_N_ELEMENTS(strings); i++) {
                if (i > 0)
                        huge[1024 * 1024] = '\0'; /* the largest once each way, it is slow */
                g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, strings[i], "s", huge);

                if (strcmp(strings[i], "ImageExists") == 0)
                        assert_good(reply); /* there is no such image */
                else
                        assert_error(reply, strcmp(strings[i], "GetVM") == 0 ? ERROR("NoSuchVM") : ERROR("NoSuchImage"));
        }
        huge[1024 * 1024] = 'a';
        for (size_t i = 0; i < G_N_ELEMENTS(specs); i++) {
                g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, specs[i], "sa{sv}", huge, 1, "Image", "s", REFERENCE);
                const sd_bus_error *e = sd_bus_message_get_error(reply);

                if (strcmp(specs[i], "ValidateVM") == 0) {
                        assert_good(reply);
                        continue;
                }
                assert_error(reply, ERROR("InvalidName"));
                assert_true(strlen(e->message) < 1000);
                huge[1024 * 1024] = '\0';
        }
        for (size_t i = 0; i < G_N_ELEMENTS(references); i++) {
                g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, references[i], "ssa{sv}", huge, "/srv/x", 0);

                assert_error(reply, ERROR("InvalidName"));
        }
        assert_vm_count(r, "0");
        rig_assert_alive(r);
}

/* ---- Specs ---- */

static void assert_spec(Rig *r, const char *error, const char *key, const char *type, ...) {
        static const char *const methods[] = {"CreateVM", "RunVM", "ValidateVM"};

        for (size_t i = 0; i < G_N_ELEMENTS(methods); i++) {
                g_autoptr(Pending) p = NULL;
                sd_bus_message *m = rig_message(r, r->caller, ROOT, MANAGER, methods[i]);
                g_autofree char *text = NULL;
                GString *out;
                va_list ap;

                assert_true(sd_bus_message_append(m, "s", "web") >= 0);
                assert_true(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
                if (strcmp(key, "Image") != 0)
                        assert_true(sd_bus_message_append(m, "{sv}", "Image", "s", REFERENCE) >= 0);
                assert_true(sd_bus_message_open_container(m, 'e', "sv") >= 0);
                assert_true(sd_bus_message_append(m, "s", key) >= 0);
                assert_true(sd_bus_message_open_container(m, 'v', type) >= 0);
                va_start(ap, type);
                assert_true(sd_bus_message_appendv(m, type, ap) >= 0);
                va_end(ap);
                assert_true(sd_bus_message_close_container(m) >= 0);
                assert_true(sd_bus_message_close_container(m) >= 0);
                assert_true(sd_bus_message_close_container(m) >= 0);
                p = rig_send_message(r, r->caller, m);
                until(r, p->reply);
                if (strcmp(methods[i], "ValidateVM") != 0) {
                        assert_error(p->reply, error);
                        if (!strstr(sd_bus_message_get_error(p->reply)->message, key))
                                fail_msg("%s: the message does not name it: %s", key, sd_bus_message_get_error(p->reply)->message);
                        continue;
                }
                assert_good(p->reply);
                out = g_string_new(NULL);
                append_value(out, p->reply);
                append_value(out, p->reply);
                text = g_string_free(out, FALSE);
                if (!strstr(text, key))
                        fail_msg("ValidateVM does not complain of %s: %s", key, text);
        }
}

static void test_specs(void **state) {
        Rig *r = *state;
        const char *bad = ERROR("InvalidSpec");

        assert_spec(r, bad, "Nonsense", "s", "x");
        assert_spec(r, bad, "image", "s", REFERENCE);
        assert_spec(r, bad, "MemoryMiB", "u", 0);
        assert_spec(r, bad, "MemoryMiB", "u", UINT32_MAX);
        assert_spec(r, bad, "MemoryMiB", "s", "256");
        assert_spec(r, bad, "MemoryMiB", "t", (uint64_t) 256);
        assert_spec(r, bad, "MemoryMiB", "i", -1);
        assert_spec(r, bad, "VCPUs", "u", 0);
        assert_spec(r, bad, "VCPUs", "u", 100000);
        assert_spec(r, bad, "Ports", "as", 1, "80:0");
        assert_spec(r, bad, "Ports", "as", 1, "65536:80");
        assert_spec(r, bad, "Ports", "as", 1, "80;reboot:80");
        assert_spec(r, bad, "Ports", "as", 2, "8080:80", "8080:81");
        assert_spec(r, bad, "Ports", "s", "8080:80");
        assert_spec(r, bad, "Ports", "ab", 1, 1);
        assert_spec(r, bad, "Environment", "as", 1, "no equals sign");
        assert_spec(r, bad, "Environment", "a{sv}", 0);
        assert_spec(r, bad, "Network", "s", "Moon");
        assert_spec(r, bad, "Accelerator", "s", "warp");
        assert_spec(r, bad, "Architecture", "s", "z80");
        assert_spec(r, bad, "Ephemeral", "s", "yes");
        assert_spec(r, bad, "Restart", "s", "sometimes");
        assert_spec(r, bad, "StopTimeout", "t", UINT64_MAX);
        assert_spec(r, bad, "Hostname", "s", "-bad-");
        assert_spec(r, bad, "Kernel", "s", "../../etc/passwd");
        assert_spec(r, bad, "Labels", "as", 1, "a=b");
        assert_spec(r, bad, "Ready", "s", "yes");
        assert_spec(r, bad, "Ready", "a{sv}", 2, "Kind", "s", "tcp", "Port", "u", 80);
        assert_spec(r, bad, "Ready", "a{sv}", 2, "Kind", "s", "tcp", "Kind", "s", "tcp");
        assert_spec(r, bad, "Ready", "a{sv}", 1, "Kin", "s", "message");
        assert_spec(r, bad, "Health", "a{ss}", 1, "Kind", "message");
        assert_spec(r, bad, "Health", "a{sv}", 1, "Kind", "a{sv}", 1, "Kind", "s", "message");
        assert_spec(r, bad, "Limits", "a{sv}", 1, "CPUWeight", "t", UINT64_MAX);
        assert_spec(r, bad, "Image", "u", 7);
        assert_vm_count(r, "0");
        assert_int_equal(r->questions->len, 0);
}

static void test_no_image(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) none = rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", "web", 0);
        g_autoptr(sd_bus_message) unknown = rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", "web", 1, "Image", "s", "nosuch:1");
        g_autoptr(sd_bus_message) malformed = rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", "web", 1, "Image", "s", "../x y");

        assert_error(none, ERROR("InvalidSpec"));
        assert_error(unknown, ERROR("NoSuchImage"));
        assert_true(*reply_error(malformed) != 0);
        assert_vm_count(r, "0");
}

static void test_doubled_keys(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) create = rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", "web", 3, "Image", "s", REFERENCE,
                "VCPUs", "u", 1, "VCPUs", "u", 1);
        g_autoptr(sd_bus_message) unknown = rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", "web", 3, "Image", "s", REFERENCE,
                "What", "u", 1, "What", "s", "x");
        g_autoptr(sd_bus_message) list = rig_call(r, ROOT, MANAGER, "ListVMs", "a{sv}", 2, "State", "s", "running", "State", "s", "stopped");

        assert_error(create, ERROR("InvalidSpec"));
        assert_error(unknown, ERROR("InvalidSpec"));
        assert_error(list, ERROR("InvalidSpec"));
        assert_vm_count(r, "0");
}

static void test_second_of_name(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) again = NULL, run = NULL;

        create_web(r);
        again = rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", "web", 1, "Image", "s", REFERENCE);
        assert_error(again, ERROR("VMExists"));
        run = rig_call(r, ROOT, MANAGER, "RunVM", "sa{sv}", "web", 1, "Image", "s", REFERENCE);
        assert_error(run, ERROR("VMExists"));
        assert_vm_count(r, "1");
        assert_property(r, WEB, VM, "State", "created");
}

/* Many keys, deep and long values: answered, not endured. */
static void test_large_specs(void **state) {
        Rig *r = *state;
        g_autoptr(Pending) many = NULL, longest = NULL;
        g_autofree char *megabyte = g_strnfill(8 * 1024 * 1024, 'x');
        sd_bus_message *m = rig_message(r, r->caller, ROOT, MANAGER, "CreateVM");

        assert_true(sd_bus_message_append(m, "s", "web") >= 0);
        assert_true(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
        for (unsigned i = 0; i < 20000; i++) {
                g_autofree char *key = g_strdup_printf("Key%u", i);

                assert_true(sd_bus_message_append(m, "{sv}", key, "s", "value") >= 0);
        }
        assert_true(sd_bus_message_close_container(m) >= 0);
        many = rig_send_message(r, r->caller, m);
        until(r, many->reply);
        assert_error(many->reply, ERROR("InvalidSpec"));
        assert_true(strlen(sd_bus_message_get_error(many->reply)->message) < 4096);

        longest = rig_send(r, r->caller, ROOT, MANAGER, "CreateVM", "sa{sv}", "web", 2, "Image", "s", REFERENCE, "Hostname", "s", megabyte);
        until(r, longest->reply);
        assert_error(longest->reply, ERROR("InvalidSpec"));
        assert_true(strlen(sd_bus_message_get_error(longest->reply)->message) < 4096);
        rig_assert_alive(r);
}

/* ---- Options, filters and plain arguments ---- */

static void test_options(void **state) {
        static const struct {
                const char *path, *interface, *method, *prefix;
        } cases[] = {
                {ROOT, MANAGER, "ListVMs", ""},      {ROOT, MANAGER, "ListImages", ""}, {ROOT, MANAGER, "ListJobs", ""},
                {WEB, VM, "Start", ""},              {WEB, VM, "Stop", "t"},            {WEB, VM, "Remove", ""},
                {WEB, VM, "OpenLog", ""},
        };
        Rig *r = *state;

        create_web(r);
        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autoptr(sd_bus_message) reply = *cases[i].prefix
                                                          ? rig_call(r, cases[i].path, cases[i].interface, cases[i].method, "ta{sv}",
                                                                    (uint64_t) 0, 1, "Nonsense", "b", 1)
                                                          : rig_call(r, cases[i].path, cases[i].interface, cases[i].method, "a{sv}", 1,
                                                                    "Nonsense", "b", 1);

                assert_error(reply, ERROR("InvalidSpec"));
                if (!strstr(sd_bus_message_get_error(reply)->message, "Nonsense"))
                        fail_msg("%s: the message does not name the option", cases[i].method);
        }
        assert_property(r, WEB, VM, "State", "created");
}

static void test_wrong_option_types(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) state_u = rig_call(r, ROOT, MANAGER, "ListVMs", "a{sv}", 1, "State", "u", 1);
        g_autoptr(sd_bus_message) owner_s = rig_call(r, ROOT, MANAGER, "ListVMs", "a{sv}", 1, "Owner", "s", "me");
        g_autoptr(sd_bus_message) tail = NULL, stop = NULL, wait = NULL, kill = NULL;

        create_web(r);
        assert_error(state_u, ERROR("InvalidSpec"));
        assert_error(owner_s, ERROR("InvalidSpec"));
        tail = rig_call(r, WEB, VM, "OpenLog", "a{sv}", 1, "tail", "i", -1);
        assert_error(tail, ERROR("InvalidSpec"));
        stop = rig_call(r, WEB, VM, "Stop", "ta{sv}", UINT64_MAX, 0);
        assert_error(stop, ERROR("InvalidSpec"));
        wait = rig_call(r, WEB, VM, "Wait", "s", "happy");
        assert_error(wait, ERROR("InvalidSpec"));
        kill = rig_call(r, WEB, VM, "Kill", "s", "");
        assert_error(kill, ERROR("InvalidSpec"));
}

/* What the state does not allow is named, and changes nothing. */
static void test_wrong_state(void **state) {
        static const char *const verbs[] = {"Pause", "Resume"};
        Rig *r = *state;
        g_autoptr(sd_bus_message) stop = NULL, kill = NULL, start = NULL, again = NULL;

        create_web(r);
        for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++) {
                g_autoptr(sd_bus_message) reply = rig_call(r, WEB, VM, verbs[i], NULL);

                assert_error(reply, ERROR("VMNotRunning"));
        }
        stop = rig_call(r, WEB, VM, "Stop", "ta{sv}", (uint64_t) 0, 0);
        assert_error(stop, ERROR("VMNotRunning"));
        kill = rig_call(r, WEB, VM, "Kill", "s", "TERM");
        assert_error(kill, ERROR("VMNotRunning"));
        start = rig_call(r, WEB, VM, "Start", "a{sv}", 0);
        assert_good(start);
        until(r, trace_has(r, "changed /vm/web Ready=true"));
        again = rig_call(r, WEB, VM, "Start", "a{sv}", 0);
        assert_error(again, ERROR("VMRunning"));
        assert_property(r, WEB, VM, "State", "running");
        assert_property(r, WEB, VM, "BootId", "1");
        assert_int_equal(unit_runs(r, "mcp-vm@web.service"), 1);
}

/* ---- Signatures ---- */

static void assert_refused(Rig *r, sd_bus_message *m, const char *what) {
        g_autoptr(Pending) p = rig_send_message(r, r->caller, m);

        until(r, p->reply);
        if (!sd_bus_message_get_error(p->reply))
                fail_msg("%s was accepted", what);
}

/* Each method with arguments that it does not have. */
static void test_signatures(void **state) {
        static const struct {
                const char *path, *interface, *members[16];
        } objects[] = {
                {ROOT, MANAGER, {"CreateVM", "RunVM", "GetVM", "ListVMs", "ValidateVM", "ImportImage", "ImportImageFile", "ImageExists", "GetImage", "ListImages", "ListJobs", "Reconcile"}},
                {WEB, VM, {"Start", "Stop", "Kill", "Pause", "Resume", "Remove", "GetSpec", "DescribeCommand", "ReadLog", "OpenLog", "Wait"}},
        };
        Rig *r = *state;

        create_web(r);
        for (size_t o = 0; o < G_N_ELEMENTS(objects); o++)
                for (const char *const *member = objects[o].members; *member; member++) {
                        sd_bus_message *m = rig_message(r, r->caller, objects[o].path, objects[o].interface, *member);

                        assert_true(sd_bus_message_append(m, "(dd)", 1.0, 2.0) >= 0);
                        assert_refused(r, m, *member);
                }
        assert_property(r, WEB, VM, "State", "created");
        rig_assert_alive(r);
}

/* From user networking to a network and back: lease and MAC follow. */
static void test_update_network(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) made = rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", "web", 1, "Image", "s", REFERENCE), joined = NULL, left = NULL;

        assert_good(made);
        joined = rig_call(r, WEB, VM, "Update", "a{sv}", 1, "Network", "s", "default");
        assert_good(joined);
        assert_property(r, WEB, VM, "Network", "default");
        left = rig_call(r, WEB, VM, "Update", "a{sv}", 1, "Network", "s", "user");
        assert_good(left);
        assert_property(r, WEB, VM, "Address", "");
        rig_settle(r);
        rig_assert_alive(r);
}

static void test_not_there(void **state) {
        static const char *const paths[] = {WEB, ROOT "/vm", ROOT "/vm/_", ROOT "/job/1", ROOT "/job/0", ROOT "/job/4294967297", ROOT "/job/x", ROOT "/image/4294967294/" HEX, ROOT "/image", "/", "/x"};
        Rig *r = *state;

        for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
                g_autoptr(sd_bus_message) vm = rig_call(r, paths[i], VM, "Start", "a{sv}", 0);
                g_autoptr(sd_bus_message) job = rig_call(r, paths[i], JOB, "Cancel", NULL);
                g_autoptr(sd_bus_message) image = rig_call(r, paths[i], IMAGE, "GetConfig", NULL);

                assert_true(*reply_error(vm) && *reply_error(job) && *reply_error(image));
        }
        rig_assert_alive(r);
}

/* ---- Properties and messages without an interface ---- */

static void test_set(void **state) {
        static const char *const properties[] = {"Version", "VMCount", "Nonsense"};
        Rig *r = *state;

        for (size_t i = 0; i < G_N_ELEMENTS(properties); i++) {
                g_autoptr(sd_bus_message) reply =
                        rig_call(r, ROOT, "org.freedesktop.DBus.Properties", "Set", "ssv", MANAGER, properties[i], "s", "x");

                assert_true(*reply_error(reply) != 0);
        }
        assert_vm_count(r, "0");
}

/* A message that names no interface is matched by its member alone on some buses: it must not slip past the policy and the gate. */
static void test_without_interface(void **state) {
        Rig *r = *state;
        g_autoptr(Pending) create = NULL, set = NULL, list = NULL;
        sd_bus_message *m;

        r->answer = POLKIT_NO;
        m = rig_message(r, r->caller, ROOT, NULL, "CreateVM");
        assert_true(sd_bus_message_append(m, "sa{sv}", "web", 1, "Image", "s", REFERENCE) >= 0);
        create = rig_send_message(r, r->caller, m);
        until(r, create->reply);
        assert_true(*reply_error(create->reply) != 0);
        m = rig_message(r, r->caller, ROOT, NULL, "Set");
        assert_true(sd_bus_message_append(m, "ssv", MANAGER, "VMCount", "u", 1) >= 0);
        set = rig_send_message(r, r->caller, m);
        until(r, set->reply);
        assert_true(*reply_error(set->reply) != 0);
        m = rig_message(r, r->caller, ROOT, NULL, "ListVMs");
        assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
        list = rig_send_message(r, r->caller, m);
        until(r, list->reply);
        assert_vm_count(r, "0");
        rig_assert_alive(r);
}

static void test_unknown_members(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) method = rig_call(r, ROOT, MANAGER, "Explode", NULL);
        g_autoptr(sd_bus_message) interface = rig_call(r, ROOT, "org.example.Other", "CreateVM", NULL);
        g_autoptr(sd_bus_message) property = rig_call(r, ROOT, "org.freedesktop.DBus.Properties", "Get", "ss", MANAGER, "Nonsense");

        assert_true(*reply_error(method) && *reply_error(interface) && *reply_error(property));
        rig_assert_alive(r);
}

/* ---- Imports ---- */

static void assert_import_file(Rig *r, const char *path, const char *error) {
        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "ImportImageFile", "ssa{sv}", "tool:1", path, 0);

        assert_error(reply, error);
}

static void test_import_paths(void **state) {
        Rig *r = *state;
        g_autofree char *outside = rig_path(r, "init"), *dots = rig_path(r, "srv/../init"), *sibling = rig_path(r, "srvx/program");
        g_autofree char *longest = g_strnfill(8192, 'x'), *below = g_strconcat(r->dir, "/srv/", longest, NULL);

        assert_import_file(r, "", ERROR("InvalidSpec"));
        assert_import_file(r, "program", ERROR("InvalidSpec"));
        assert_import_file(r, "/etc/passwd", ERROR("InvalidSpec"));
        assert_import_file(r, outside, ERROR("InvalidSpec"));
        assert_import_file(r, dots, ERROR("InvalidSpec"));
        assert_import_file(r, sibling, ERROR("InvalidSpec"));
        assert_import_file(r, below, ERROR("InvalidSpec"));
        assert_int_equal(r->questions->len, 0);
        assert_int_equal(unit_runs(r, "mcp-image@1.service"), 0);
}

static void test_import_references(void **state) {
        static const char *const references[] = {"", "a b", "../x", "UPPER:1", "x:", ":1", "x@y", "x\n", "http://x/y"};
        Rig *r = *state;
        g_autofree char *path = rig_path(r, "srv/program");

        for (size_t i = 0; i < G_N_ELEMENTS(references); i++) {
                g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "ImportImageFile", "ssa{sv}", references[i], path, 0);

                assert_error(reply, ERROR("InvalidName"));
        }
}

static void assert_import_fd(Rig *r, int fd, const char *error) {
        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "ImportImage", "sha{sv}", "tool:1", fd, 0);

        if (error)
                assert_error(reply, error);
        else
                assert_good(reply);
        (void) close(fd);
}

static void test_import_descriptors(void **state) {
        Rig *r = *state;
        g_autofree char *path = rig_path(r, "srv/program");
        int pair[2];

        assert_import_fd(r, open("/dev/null", O_RDONLY | O_CLOEXEC), ERROR("UnsupportedImage"));
        assert_import_fd(r, open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), ERROR("UnsupportedImage"));
        assert_import_fd(r, open(path, O_PATH | O_CLOEXEC), ERROR("UnsupportedImage"));
        assert_import_fd(r, open(path, O_WRONLY | O_CLOEXEC), ERROR("UnsupportedImage"));
        assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
        assert_import_fd(r, pair[0], NULL);
        (void) close(pair[1]);
        assert_import_fd(r, open(path, O_RDONLY | O_CLOEXEC), NULL);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_names, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_huge_name, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_specs, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_no_image, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_doubled_keys, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_second_of_name, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_large_specs, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_options, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_wrong_option_types, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_wrong_state, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_signatures, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_update_network, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_not_there, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_set, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_without_interface, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_unknown_members, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_import_paths, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_import_references, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_import_descriptors, rig_setup, rig_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
