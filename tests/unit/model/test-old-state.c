/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records of the system that this one replaces. */
#include <errno.h>

#include "unit.h"

#include "model/old-state.h"

#define HEX64 "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

static const SpecLimits limits = {
        .memory_mib_default = 512,
        .memory_mib_max = 1024,
        .vcpus_default = 1,
        .vcpus_max = 2,
        .stop_timeout_default = 10000000,
        .default_network = "none",
        .architecture = "x86_64",
};

#define OLD                                                                                                            \
        "'name': 'mcat', 'image': 'mcr.example:8443/mcat:v1.2.0', 'user': '', 'restart': 'unless-stopped',"            \
        "'ports': ['127.0.0.1:28443:8443', '53:5353', '80'], 'volumes': null,"                                         \
        "'cmd': ['server', '--config', '/srv/mcat/mcat.toml'], 'memory_mb': 256, 'vcpus': 1,"                          \
        "'image_hash': '" HEX64 "', 'started': '2026-05-01T10:00:00Z'"

static json_t *object(const char *members) {
        g_autofree char *text = g_strdup_printf("{%s}", members);
        json_t *o = json_loads(g_strdelimit(text, "'", '"'), 0, NULL);

        assert_non_null(o);
        return o;
}

static VMRecord *good(const char *members, const char *ip) {
        json_t *old = object(members);
        g_autoptr(Problem) problem = NULL;
        VMRecord *r = NULL;

        if (old_state_record("mcat", old, ip, "default", &limits, &r, &problem) < 0)
                fail_msg("%s", problem->text);
        json_decref(old);
        return r;
}

static void assert_strings(char **got, const char *const *expected) {
        for (; *expected; got++, expected++)
                assert_string_equal(*got, *expected);
        assert_null(*got);
}

static void test_bridged(void **state) {
        static const char *const command[] = {"server", "--config", "/srv/mcat/mcat.toml", NULL};
        g_autoptr(VMRecord) r = good(OLD ", 'ip': '10.99.0.2'", NULL);

        assert_string_equal(r->name, "mcat");
        assert_int_equal(r->owner, 0);
        assert_string_equal(r->owner_name, "root");
        assert_int_equal(r->state, VM_STOPPED);
        assert_false(r->wanted);
        assert_string_equal(r->spec->target, "nanos");
        assert_string_equal(r->spec->image, "mcr.example:8443/mcat:v1.2.0");
        assert_strings(r->spec->command, command);
        assert_string_equal(r->spec->network, "default");
        assert_string_equal(r->spec->address, "10.99.0.2");
        assert_string_equal(r->address, ""); /* the lease is still to be taken */
        assert_int_equal(r->spec->n_ports, 3);
        assert_int_equal(r->spec->ports[0].guest, 8443);
        assert_true(r->spec->ports[0].bare);
        assert_int_equal(r->spec->ports[1].guest, 5353);
        assert_int_equal(r->spec->memory_mib, 256);
        assert_int_equal(r->spec->vcpus, 1);
        assert_string_equal(r->spec->restart, "unless-stopped");
        assert_int_equal(r->spec->stop_timeout, SPEC_NANOS_STOP_TIMEOUT);
        assert_string_equal(r->image_digest, "");
        assert_string_equal(r->image_hash, HEX64);
        assert_int_equal(r->started_at, 1777629600000000ULL);
}

/* ips.json alone will do; the record's own address counts more. */
static void test_addresses(void **state) {
        g_autoptr(VMRecord) listed = good(OLD, "10.99.0.7");
        g_autoptr(VMRecord) own = good(OLD ", 'ip': '10.99.0.2'", "10.99.0.7");
        g_autoptr(VMRecord) empty = good(OLD ", 'ip': ''", "10.99.0.7");

        assert_string_equal(listed->spec->address, "10.99.0.7");
        assert_string_equal(own->spec->address, "10.99.0.2");
        assert_string_equal(empty->spec->address, "10.99.0.7");
}

static void test_user_networking(void **state) {
        g_autoptr(VMRecord) r = good(OLD, NULL);
        g_autoptr(VMRecord) least = good("'name': 'mcat', 'image': 'mcat:1', 'ports': null, 'cmd': null", "");

        assert_string_equal(r->spec->network, "user");
        assert_string_equal(r->spec->address, "");
        assert_false(r->spec->ports[0].bare);
        assert_int_equal(r->spec->ports[0].host, 28443);
        assert_string_equal(r->spec->ports[0].address, "127.0.0.1");
        assert_int_equal(least->spec->n_ports, 0);
        assert_int_equal(least->spec->memory_mib, 512);
}

static void assert_refused(const char *members, const char *ip, const char *text) {
        json_t *old = object(members);
        g_autoptr(Problem) problem = NULL;
        VMRecord *r = NULL;

        assert_int_equal(old_state_record("mcat", old, ip, "default", &limits, &r, &problem), -EINVAL);
        assert_null(r);
        assert_string_equal(problem->error, "InvalidSpec");
        if (!strstr(problem->text, text))
                fail_msg("%s", problem->text);
        json_decref(old);
}

static void test_refused(void **state) {
        assert_refused("'image': 'mcat:1'", NULL, "'name'");
        assert_refused("'name': 'other', 'image': 'mcat:1'", NULL, "'name'");
        assert_refused("'name': 'mcat'", NULL, "'image'");
        assert_refused("'name': 'mcat', 'image': '../etc'", NULL, "'image'");
        assert_refused("'name': 'mcat', 'image': 'mcat:1', 'ports': ['x']", NULL, "'ports'");
        assert_refused("'name': 'mcat', 'image': 'mcat:1', 'ports': ['x']", "10.99.0.2", "'ports'");
        assert_refused("'name': 'mcat', 'image': 'mcat:1', 'ports': [7]", "10.99.0.2", "'ports'");
        assert_refused("'name': 'mcat', 'image': 'mcat:1', 'cmd': 'x'", NULL, "'cmd'");
        assert_refused("'name': 'mcat', 'image': 'mcat:1', 'restart': 'sometimes'", NULL, "'restart'");
        assert_refused("'name': 'mcat', 'image': 'mcat:1', 'started': 'yesterday'", NULL, "'started'");
        assert_refused("'name': 'mcat', 'image': 'mcat:1', 'ip': '10.99.0.2/24'", NULL, "'address'");
        assert_refused("'name': 'mcat', 'image': 'mcat:1', 'image_hash': '../x'", NULL, "'image_hash'");
}

/* What only ours have is not taken over: an owner, a digest. */
static void test_foreign_fields(void **state) {
        g_autoptr(VMRecord) r = good(OLD ", 'owner': 1000, 'image_digest': 'sha256:" HEX64 "', 'target': 'linux', 'wanted': true", NULL);

        assert_int_equal(r->owner, 0);
        assert_string_equal(r->image_digest, "");
        assert_string_equal(r->spec->target, "nanos");
        assert_false(r->wanted);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bridged),
                cmocka_unit_test(test_addresses),
                cmocka_unit_test(test_user_networking),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_foreign_fields),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
