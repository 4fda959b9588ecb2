/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a VM is given beside its image: credentials. */
#include "rig.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shared/fd.h"

#define WEB ROOT "/vm/web"
#define MONITOR "mcp-vm@web.service"
#define SECRET "xyzzy-plugh"

/* ---- Credentials ---- */

static sd_bus_message *call_with(Rig *r, const char *method, const char *name, const char *value) {
        bool manager = strcmp(method, "Start") != 0 && strcmp(method, "Update") != 0;
        bool image = manager;
        sd_bus_message *m = rig_message(r, r->caller, manager ? ROOT : WEB, manager ? MANAGER : VM, method);
        g_autoptr(Pending) p = NULL;

        if (manager)
                assert_true(sd_bus_message_append(m, "s", "web") >= 0);
        assert_true(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
        if (image)
                assert_true(sd_bus_message_append(m, "{sv}{sv}", "Image", "s", REFERENCE, "Accelerator", "s", "tcg") >= 0);
        assert_true(sd_bus_message_open_container(m, 'e', "sv") >= 0);
        assert_true(sd_bus_message_append(m, "s", "Credentials") >= 0);
        assert_true(sd_bus_message_open_container(m, 'v', "a{say}") >= 0);
        assert_true(sd_bus_message_open_container(m, 'a', "{say}") >= 0);
        if (name) {
                assert_true(sd_bus_message_open_container(m, 'e', "say") >= 0);
                assert_true(sd_bus_message_append(m, "s", name) >= 0);
                assert_true(sd_bus_message_append_array(m, 'y', value, strlen(value)) >= 0);
                assert_true(sd_bus_message_close_container(m) >= 0);
        }
        for (int i = 0; i < 4; i++)
                assert_true(sd_bus_message_close_container(m) >= 0);
        p = rig_send_message(r, r->caller, m);
        until(r, p->reply);
        return sd_bus_message_ref(p->reply);
}

/* The bytes of the k-th descriptor that QEMU gets, -1 the last. */
static char *handed_over(FakeHelper *h, size_t *ret_len) {
        for (size_t i = 0; i < h->n_fds; i++) {
                g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", h->fds[i]), *target = g_file_read_link(link, NULL);
                char *text;

                if (!target || !strstr(target, "memfd:credentials"))
                        continue;
                assert_true(fcntl(h->fds[i], F_GET_SEALS) & F_SEAL_WRITE);
                assert_int_equal(read_file(h->fds[i], 4096, &text, ret_len), 0);
                return text;
        }
        return NULL;
}

static void assert_handed_over(Rig *r, const char *value) {
        g_autofree char *expected = g_strconcat("token", "?", "LEN4", value, NULL);
        size_t len = 0;
        char *got;

        until(r, fake_heard(fake_find(r, MONITOR), "launch"));
        got = handed_over(fake_find(r, MONITOR), &len);
        assert_non_null(got);
        assert_int_equal(len, strlen(expected));
        assert_string_equal(got, "token");
        assert_int_equal((unsigned char) got[6], strlen(value));
        assert_memory_equal(got + 10, value, strlen(value));
        free(got);
}

static void assert_nowhere(Rig *r) {
        static const char *const files[] = {"state/vms/web/meta.json", "daemon.log"};
        g_autoptr(sd_bus_message) spec = rig_call(r, WEB, VM, "GetSpec", NULL);
        g_autofree char *text = NULL;
        GString *out = g_string_new(NULL);

        for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
                g_autofree char *file = rig_read(r, files[i]);

                assert_non_null(file);
                assert_null(strstr(file, SECRET));
        }
        assert_good(spec);
        append_value(out, spec);
        text = g_string_free(out, FALSE);
        assert_non_null(strstr(text, "token"));
        assert_null(strstr(text, SECRET));
}

static void test_credentials(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) run = call_with(r, "RunVM", "token", SECRET), stop = NULL, start = NULL;

        assert_good(run);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        assert_handed_over(r, SECRET);
        assert_nowhere(r);
        stop = rig_call(r, WEB, VM, "Stop", "ta{sv}", (uint64_t) 0, 0);
        assert_good(stop);
        until(r, trace_has(r, "JobRemoved 2 "));
        start = rig_call(r, WEB, VM, "Start", "a{sv}", 0); /* the daemon has them as long as it lives */
        assert_good(start);
        until(r, trace_has(r, "JobRemoved 3 " ROOT "/job/3 done"));
        assert_handed_over(r, SECRET);
}

/* Without systemd's store they are gone with the daemon: said by name, and what is given anew is taken. */
static void test_credentials_gone(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) created = call_with(r, "CreateVM", "token", SECRET), start = NULL, other = NULL, less = NULL,
                                  again = NULL;

        assert_good(created);
        assert_nowhere(r);
        rig_stop_daemon(r, SIGTERM);
        rig_start_daemon(r);
        start = rig_call(r, WEB, VM, "Start", "a{sv}", 0);
        assert_error(start, ERROR("CredentialsMissing"));
        assert_non_null(strstr(sd_bus_message_get_error(start)->message, "token"));
        assert_property(r, WEB, VM, "State", "created");
        other = call_with(r, "Start", "other", SECRET);
        assert_error(other, ERROR("InvalidSpec"));
        less = call_with(r, "Start", NULL, NULL);
        assert_error(less, ERROR("InvalidSpec"));
        again = call_with(r, "Start", "token", "new " SECRET);
        assert_good(again);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        assert_handed_over(r, "new " SECRET);
}

static void test_credentials_update(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) created = call_with(r, "CreateVM", "old", "1"), other = NULL, memory = NULL, start = NULL,
                                  none = NULL;

        assert_good(created);
        other = call_with(r, "Update", "token", SECRET);
        assert_good(other);
        memory = rig_call(r, WEB, VM, "Update", "a{sv}", 1, "MemoryMiB", "u", 128); /* leaves them alone */
        assert_good(memory);
        start = rig_call(r, WEB, VM, "Start", "a{sv}", 0);
        assert_good(start);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        assert_handed_over(r, SECRET);
        assert_nowhere(r);
        rig_call(r, WEB, VM, "Stop", "ta{sv}", (uint64_t) 0, 0);
        until(r, trace_has(r, "JobRemoved 2 "));
        none = call_with(r, "Update", NULL, NULL);
        assert_good(none);
        rig_call(r, WEB, VM, "Start", "a{sv}", 0);
        until(r, trace_has(r, "JobRemoved 3 " ROOT "/job/3 done"));
        assert_null(handed_over(fake_find(r, MONITOR), NULL));
}

static void test_credentials_refused(void **state) {
        Rig *r = *state;
        g_autofree char *large = g_strnfill(65537, 's');
        g_autoptr(sd_bus_message) empty = call_with(r, "RunVM", "token", ""), slash = call_with(r, "RunVM", "../token", SECRET),
                                  huge = call_with(r, "RunVM", "token", large), unknown = NULL;

        assert_error(empty, ERROR("InvalidSpec"));
        assert_error(slash, ERROR("InvalidSpec"));
        assert_error(huge, ERROR("InvalidSpec"));
        assert_null(strstr(sd_bus_message_get_error(slash)->message, SECRET));
        assert_property(r, ROOT, MANAGER, "VMCount", "0");
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_credentials, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_credentials_gone, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_credentials_update, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_credentials_refused, rig_setup, rig_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
