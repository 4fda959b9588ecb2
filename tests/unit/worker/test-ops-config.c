/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration of a Nanos image, key by key. */
#include "unit.h"

#include <glib.h>
#include <string.h>

#include "worker/ops-config.h"

static char *strings_none[] = {NULL};

static char *dump(const struct ops_config *c, bool old) {
        struct failure f = {};
        json_t *object = NULL;
        char *text;

        assert_int_equal(ops_config_build(c, old, &object, &f), 0);
        assert_null(f.name);
        text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
        json_decref(object);
        return text;
}

static void assert_dump(const struct ops_config *c, bool old, const char *expected) {
        char *text = dump(c, old);

        assert_string_equal(text, expected);
        free(text);
}

static void test_all(void **state) {
        g_auto(GStrv) args = g_strsplit("serve|a \"b\"\n", "|", 0);
        g_auto(GStrv) environment = g_strsplit("A=1|B=x=y|A=2|=none|C=|D", "|", 0);
        g_auto(GStrv) directories = g_strsplit("etc|lib64", "|", 0);
        struct ops_config c = {.args = args,
                .environment = environment,
                .directories = directories,
                .address = "10.99.0.2/24",
                .gateway = "10.99.0.1",
                .bytes = (5ULL << 20) + 1};

        assert_dump(&c, false,
                "{\"Args\":[\"serve\",\"a \\\"b\\\"\\n\"],\"BaseVolumeSz\":\"70m\",\"Debugflags\":[\"debug_exit\"],"
                "\"Dirs\":[\"etc\",\"lib64\"],\"Env\":{\"A\":\"2\",\"B\":\"x=y\",\"C\":\"\"},\"RunConfig\":{"
                "\"Gateway\":\"10.99.0.1\",\"IPAddress\":\"10.99.0.2\",\"NetMask\":\"255.255.255.0\"}}");
        /* An old ops refuses what it does not know. */
        assert_dump(&c, true,
                "{\"Args\":[\"serve\",\"a \\\"b\\\"\\n\"],\"Dirs\":[\"etc\",\"lib64\"],\"Env\":{\"A\":\"2\",\"B\":\"x=y\","
                "\"C\":\"\"},\"RunConfig\":{\"Gateway\":\"10.99.0.1\",\"IPAddress\":\"10.99.0.2\",\"NetMask\":"
                "\"255.255.255.0\"}}");
}

static void test_nothing(void **state) {
        struct ops_config c = {.args = strings_none, .environment = strings_none, .directories = strings_none};

        assert_dump(&c, true, "{\"Args\":[],\"Dirs\":[],\"Env\":{},\"RunConfig\":{}}");
        c = (struct ops_config){};
        assert_dump(&c, true, "{\"Args\":[],\"Dirs\":[],\"Env\":{},\"RunConfig\":{}}");
}

/* What ops would drop without a word, leaving the guest to DHCP. */
static void test_addresses(void **state) {
        static const struct {
                const char *address, *gateway, *mask; /* mask NULL: refused */
        } cases[] = {
                {"10.0.0.2/8", "10.0.0.1", "255.0.0.0"},
                {"192.0.2.3/29", "192.0.2.1", "255.255.255.248"},
                {"192.0.2.3/31", "192.0.2.2", "255.255.255.254"},
                {"192.0.2.3/32", "192.0.2.2", "255.255.255.255"},
                {"192.0.2.3/1", "192.0.2.2", "128.0.0.0"},
                {"192.0.2.3", "192.0.2.1", NULL},
                {"192.0.2.3/", "192.0.2.1", NULL},
                {"192.0.2.3/0", "192.0.2.1", NULL},
                {"192.0.2.3/33", "192.0.2.1", NULL},
                {"192.0.2.3/24/24", "192.0.2.1", NULL},
                {"192.0.2.03/24", "192.0.2.1", NULL},
                {"192.0.2/24", "192.0.2.1", NULL},
                {"2001:db8::1/64", "192.0.2.1", NULL},
                {" 192.0.2.3/24", "192.0.2.1", NULL},
                {"", "192.0.2.1", NULL},
                {"192.0.2.3/24", "192.0.2.1/24", NULL},
                {"192.0.2.3/24", "", NULL},
                {"192.0.2.3/24", NULL, NULL},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                struct ops_config c = {.address = cases[i].address, .gateway = cases[i].gateway};
                struct failure f = {};
                json_t *object = NULL;
                int r = ops_config_build(&c, false, &object, &f);

                if (cases[i].mask) {
                        assert_int_equal(r, 0);
                        assert_string_equal(
                                json_string_value(json_object_get(json_object_get(object, "RunConfig"), "NetMask")),
                                cases[i].mask);
                } else {
                        assert_true(r < 0);
                        assert_null(object);
                        assert_string_equal(f.name, "InvalidSpec");
                }
                json_decref(object);
                failure_clear(&f);
        }
}

/* JSON is UTF-8; bytes that are not would go into the image as others. */
static void test_bytes(void **state) {
        g_auto(GStrv) bad = g_strsplit("ok|\xff\xfe", "|", 0);
        const struct ops_config cases[] = {{.args = bad}, {.environment = bad}, {.directories = bad}};

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                struct failure f = {};
                json_t *object = NULL;

                assert_true(ops_config_build(&cases[i], false, &object, &f) < 0);
                assert_null(object);
                assert_string_equal(f.name, "InvalidSpec");
                failure_clear(&f);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all),
                cmocka_unit_test(test_nothing),
                cmocka_unit_test(test_addresses),
                cmocka_unit_test(test_bytes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
