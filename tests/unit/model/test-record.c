/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records: round trip, the form of the old system, and what is none. */
#include <errno.h>

#include "unit.h"

#include "model/record.h"

#define HEX64 "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

static const SpecLimits limits = {
        .memory_mib_default = 256,
        .memory_mib_max = 1024,
        .vcpus_default = 1,
        .vcpus_max = 2,
        .stop_timeout_default = 10000000,
        .default_network = "none",
        .architecture = "x86_64",
};

#define OLD                                                                                                            \
        "{\"name\": \"mcat\", \"image\": \"mcr.example:8443/mcat:v1.2.0\", \"user\": \"\", "                           \
        "\"restart\": \"unless-stopped\", \"ports\": [\"127.0.0.1:28443:8443\"], "                                     \
        "\"volumes\": [\"/srv/mcat:/srv/mcat\"], \"cmd\": [\"server\", \"--config\", \"/srv/mcat/mcat.toml\"], "       \
        "\"memory_mb\": 256, \"vcpus\": 1, \"image_hash\": \"" HEX64 "\", \"ip\": \"10.99.0.2\", "                     \
        "\"started\": \"2026-05-01T10:00:00Z\"}"

#define FULL                                                                                                           \
        "{\"version\":1,\"name\":\"web.example\",\"uuid\":\"01234567-89ab-4cde-8f01-23456789abcd\",\"owner\":1000,"    \
        "\"owner_name\":\"ada\",\"image\":\"web:1\",\"target\":\"linux\",\"cmd\":[\"a\"],\"environment\":[\"A=1\"],"   \
        "\"user\":\"www\",\"hostname\":\"h\",\"working_directory\":\"/w\",\"memory_mb\":99999,\"vcpus\":64,"           \
        "\"network\":\"user\",\"dns\":[\"1.1.1.1\"],\"ports\":[\"127.0.0.1:8080:80/tcp\"],\"kernel\":\"6.1.0\","       \
        "\"architecture\":\"aarch64\",\"restart\":\"always\",\"accelerator\":\"tcg\",\"stop_timeout\":7,\"labels\":{"  \
        "\"k\":\"v\"},"                                                                                                \
        "\"ephemeral\":true,\"image_digest\":\"sha256:" HEX64 "\",\"image_hash\":\"" HEX64 "\","                       \
        "\"state\":\"failed\",\"state_reason\":\"lost\",\"exit_reason\":\"lost\",\"exit_code\":-1,"                    \
        "\"created\":\"2026-05-01T10:00:00.000001Z\",\"started\":\"2026-05-01T10:00:00.000002Z\","                     \
        "\"exited\":\"2026-05-01T10:00:00.000003Z\",\"boot_id\":4294967295,\"restart_count\":4,"                       \
        "\"wanted\":true,\"boot_accelerator\":\"tcg\",\"boot_profile\":\"kvm-linux\","                                 \
        "\"host_boot\":\"b\",\"unit\":\"web-example-03bbe82a\"}"

static VMRecord *good(const char *text) {
        g_autoptr(Problem) problem = NULL;
        VMRecord *r = NULL;

        if (vm_record_parse(text, strlen(text), &limits, &r, &problem) < 0)
                fail_msg("%s", problem->text);
        return r;
}

static void assert_refused(const char *text, size_t len, const char *expected) {
        g_autoptr(Problem) problem = NULL;
        VMRecord *r = NULL;

        assert_int_equal(vm_record_parse(text, len, &limits, &r, &problem), -EINVAL);
        assert_null(r);
        assert_string_equal(problem->error, "InvalidSpec");
        assert_string_equal(problem->text, expected);
        assert_int_equal(vm_record_parse(text, len, &limits, &r, NULL), -EINVAL);
}

static void test_round_trip(void **state) {
        g_autoptr(VMRecord) r = good(FULL);
        json_t *o = vm_record_to_json(r);
        char *text = json_dumps(o, JSON_COMPACT);

        assert_string_equal(text, FULL);
        assert_int_equal(r->owner, 1000);
        assert_int_equal(r->spec->memory_mib, 99999);
        assert_int_equal(r->state, VM_FAILED);
        assert_int_equal(r->exit_reason, EXIT_LOST);
        assert_int_equal(r->exit_code, -1);
        assert_int_equal(r->exited_at, 1777629600000003);
        free(text);
        json_decref(o);
}

static void test_old(void **state) {
        g_autoptr(VMRecord) r = good(OLD), again = good(OLD);

        assert_string_equal(r->name, "mcat");
        assert_int_equal(r->owner, 0);
        assert_string_equal(r->spec->image, "mcr.example:8443/mcat:v1.2.0");
        assert_string_equal(r->spec->command[2], "/srv/mcat/mcat.toml");
        assert_null(r->spec->command[3]);
        assert_int_equal(r->spec->ports[0].guest, 8443);
        assert_string_equal(r->spec->network, NETWORK_USER);
        assert_string_equal(r->image_hash, HEX64);
        assert_string_equal(r->image_digest, "");
        assert_int_equal(r->state, VM_STOPPED);
        assert_int_equal(r->exit_reason, EXIT_NONE);
        assert_int_equal(r->started_at, 1777629600000000);
        assert_int_equal(r->created_at, 1777629600000000);
        assert_string_equal(r->unit, "mcat");
        assert_string_equal(r->uuid, again->uuid);
}

static void test_nothing_but_a_name(void **state) {
        g_autoptr(VMRecord) r = good("{\"name\":\"a.b\",\"image\":\"web\",\"ports\":null,\"volumes\":null,\"cmd\":null,"
                                     "\"user\":null,\"labels\":null,\"memory_mb\":null,\"started\":\"\"}");
        json_t *o = vm_record_to_json(r);
        char *text = json_dumps(o, JSON_COMPACT);
        g_autoptr(VMRecord) again = good(text);

        assert_int_equal(r->spec->memory_mib, 256);
        assert_int_equal(r->spec->n_ports, 0);
        assert_null(r->spec->command[0]);
        assert_int_equal(r->started_at, 0);
        assert_null(json_object_get(o, "started"));
        assert_string_equal(again->unit, r->unit);
        free(text);
        json_decref(o);
}

#define BASE "{\"name\":\"web\",\"image\":\"web\","

static void test_wrong_fields(void **state) {
        static const struct {
                const char *text, *problem;
        } cases[] = {
                {"{\"image\":\"web\"}",
                        "record: field 'name' is not a lower-case letter or digit, then up to 62 of [a-z0-9._-]"},
                {"{\"name\":\"../x\",\"image\":\"web\"}",
                        "record: field 'name' is not a lower-case letter or digit, then up to 62 of [a-z0-9._-]"},
                {"{\"name\":7,\"image\":\"web\"}", "record: field 'name' is not a string"},
                {"{\"name\":\"web\"}", "record: field 'image' is not valid: Image: is required: a reference "
                                       "[registry/]path[:tag][@sha256:hex] or a digest sha256:hex"},
                {BASE "\"memory_mb\":\"1\"}", "record: field 'memory_mb' is not valid: MemoryMiB: expected a value of "
                                              "D-Bus signature 'u', got a "
                                              "string"},
                {BASE "\"kernel\":\"../../x\"}", "record: field 'kernel' is not valid: Kernel: '../../x' is not a "
                                                 "kernel version as in /lib/modules, "
                                                 "such as '6.1.0-18-cloud-amd64'"},
                {BASE "\"version\":2}", "record: field 'version' is not a number from 1 to 1"},
                {BASE "\"version\":\"1\"}", "record: field 'version' is not a number from 1 to 1"},
                {BASE "\"uuid\":\"x\"}", "record: field 'uuid' is not a lower-case UUID"},
                {BASE "\"uuid\":\"01234567-89AB-4cde-8f01-23456789abcd\"}",
                        "record: field 'uuid' is not a lower-case UUID"},
                {BASE "\"uuid\":\"01234567-89ab-4cde-8f01-23456789abcd0\"}",
                        "record: field 'uuid' is not a lower-case UUID"},
                {BASE "\"owner\":-1}", "record: field 'owner' is not a number from 0 to 4294967294"},
                {BASE "\"owner\":4294967295}", "record: field 'owner' is not a number from 0 to 4294967294"},
                {BASE "\"unit\":\"other\"}", "record: field 'unit' is not web"},
                {BASE "\"image_digest\":\"latest\"}", "record: field 'image_digest' is not sha256: and 64 hex digits"},
                {BASE "\"image_hash\":\"../x\"}", "record: field 'image_hash' is not 64 hex digits"},
                {BASE "\"state\":\"dancing\"}", "record: field 'state' is not a state of a VM"},
                {BASE "\"exit_reason\":\"x\"}", "record: field 'exit_reason' is not a reason for which a VM ends"},
                {BASE "\"exit_code\":2147483648}",
                        "record: field 'exit_code' is not a number from -2147483648 to 2147483647"},
                {BASE "\"boot_id\":1.5}", "record: field 'boot_id' is not a number from 0 to 4294967295"},
                {BASE "\"started\":\"yesterday\"}", "record: field 'started' is not a time as in RFC 3339"},
                {BASE "\"created\":7}", "record: field 'created' is not a time as in RFC 3339"},
                {BASE "\"state_reason\":[]}", "record: field 'state_reason' is not a string"},
                {"", "record: not JSON at line 1"},
                {"{", "record: not JSON at line 1"},
                {"{}\n{}", "record: not JSON at line 2"},
                {"[]", "record: not a JSON object"},
                {"{\"name\":\"a\",\"name\":\"b\"}", "record: not JSON at line 1"},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
                assert_refused(cases[i].text, strlen(cases[i].text), cases[i].problem);
}

static void test_size(void **state) {
        g_autofree char *spaces = repeat(' ', RECORD_BYTES_MAX, BASE);

        assert_refused(spaces, RECORD_BYTES_MAX + 1, "record: 1048577 bytes, at most 1048576 are accepted");

        g_autofree char *padding = repeat(' ', RECORD_BYTES_MAX - strlen(BASE "\"user\":\"\"}"), BASE "\"user\":\"\"}");

        vm_record_free(good(padding));
}

/* Cut at every byte: never more than a refusal. */
static void test_truncated(void **state) {
        for (size_t len = 0; len < strlen(FULL); len++) {
                g_autofree char *cut = g_memdup2(FULL, len + 1); /* its end is seen by the sanitizer */
                g_autoptr(Problem) problem = NULL;
                VMRecord *r = NULL;

                assert_int_equal(vm_record_parse(cut, len, &limits, &r, &problem), -EINVAL);
                assert_non_null(problem);
        }
        vm_record_free(NULL);
}

/* The largest spec that is accepted must be a record that can be read again. */
static void test_largest_spec(void **state) {
        g_autoptr(VMRecord) r = good(BASE "\"labels\":{\"k00\":\"\"}}");
        g_autofree char *bytes = repeat('\x01', SPEC_STRING_BYTES_MAX - 1, "");

        g_strfreev(r->spec->command);
        r->spec->command = g_new0(char *, 3);
        r->spec->command[0] = g_strdup(bytes);
        r->spec->command[1] = g_strdup(bytes);
        for (unsigned i = 0; i < SPEC_LABELS_MAX; i++)
                g_hash_table_insert(r->spec->labels, g_strdup_printf("k%02u", i), repeat('"', 61, ""));

        json_t *o = vm_record_to_json(r);
        char *text = json_dumps(o, JSON_INDENT(2));

        assert_true(strlen(text) < RECORD_BYTES_MAX);

        g_autoptr(VMRecord) again = good(text);

        assert_string_equal(again->spec->command[1], bytes);
        assert_int_equal(g_hash_table_size(again->spec->labels), SPEC_LABELS_MAX);
        free(text);
        json_decref(o);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trip),
                cmocka_unit_test(test_old),
                cmocka_unit_test(test_nothing_but_a_name),
                cmocka_unit_test(test_wrong_fields),
                cmocka_unit_test(test_size),
                cmocka_unit_test(test_truncated),
                cmocka_unit_test(test_largest_spec),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
