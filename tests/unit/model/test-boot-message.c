/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What guest init is told. */
#include <errno.h>

#include "unit.h"

#include "model/boot-message.h"
#include "shared/guest-wire.h"

static const SpecLimits limits = {
        .memory_mib_default = 256,
        .memory_mib_max = 1024,
        .vcpus_default = 1,
        .vcpus_max = 8,
        .default_network = "user",
        .architecture = "x86_64",
        .volume_roots = (const char *const[]){"/srv", NULL},
};

static json_t *loads(const char *text) {
        g_autofree char *copy = g_strdelimit(g_strdup(text), "'", '"');
        json_t *o = json_loads(copy, JSON_DECODE_ANY, NULL);

        assert_non_null(o);
        return o;
}

static VMSpec *spec_of(const char *text) {
        g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func((GDestroyNotify) problem_free);
        json_t *o = loads(text);
        VMSpec *spec = NULL;

        if (!json_object_get(o, "RootDirectory"))
                json_object_set_new(o, "Image", json_string("web"));
        assert_int_equal(vm_spec_parse(o, &limits, problems, &spec), 0);
        json_decref(o);
        return spec;
}

static ImageConfig *image_of(const char *text) {
        json_t *o = loads(text);
        ImageConfig *c = NULL;

        assert_int_equal(image_config_parse(o, &c), 0);
        json_decref(o);
        return c;
}

/* The message with its NULs as newlines. */
static char *build(const char *spec_text, const char *image_text, const char *name, const BootNetwork *network) {
        g_autoptr(VMSpec) spec = spec_of(spec_text);
        g_autoptr(ImageConfig) image = image_of(image_text);
        g_autoptr(GByteArray) b = NULL;
        g_autoptr(Problem) problem = NULL;

        assert_int_equal(boot_message_build(spec, name, image, network, &b, &problem), 0);
        assert_int_equal(b->data[b->len - 1], '\0');

        char *text = g_malloc(b->len + 1);

        for (guint i = 0; i < b->len; i++)
                text[i] = b->data[i] ? (char) b->data[i] : '\n';
        text[b->len] = '\0';
        return text;
}

static void test_image_alone(void **state) {
        g_autofree char *m = build("{}",
                "{'entrypoint': ['/bin/web'], 'cmd': ['-f', ''], 'env': ['PATH=/bin', 'A=1'], 'user': 'www', "
                "'workdir': '/srv', 'stop_signal': 'SIGQUIT', 'ports': ['80/tcp']}",
                "web", NULL);

        assert_string_equal(m,
                "version=1\nroot=root\nhostname=web\narg=/bin/web\narg=-f\narg=\nenv=PATH=/bin\nenv=A=1\nuser=www\n"
                "workdir=/srv\nstop-signal=3\n");
}

static void test_spec_over_image(void **state) {
        static char gateway_dns[] = "10.0.2.3";
        char *dns[] = {gateway_dns, NULL};
        BootNetwork network = {"10.0.2.15/24", "10.0.2.2", dns};
        static const char image[] = "{'entrypoint': ['/bin/web'], 'cmd': ['old'], 'env': ['A=1', 'AB=2', 'A=3', "
                                    "'junk', '=x'], 'user': 'www'}";
        g_autofree char *m = build("{'Command': ['new', 'x=y'], 'Environment': ['A=4', 'C=5', 'C=6'], 'User': '0:0', "
                                   "'Hostname': 'h.example', 'WorkingDirectory': '/w', 'DNS': ['9.9.9.9', '::1']}",
                image, "web", &network);
        g_autofree char *inherited = build("{}", image, "web", &network);

        assert_string_equal(m,
                "version=1\nroot=root\nhostname=h.example\narg=/bin/web\narg=new\narg=x=y\nenv=A=4\nenv=AB=2\nenv=C=6\n"
                "user=0:0\nworkdir=/w\nstop-signal=15\naddress=10.0.2.15/24\ngateway=10.0.2.2\ndns=9.9.9.9\ndns=::1\n");
        assert_true(g_str_has_suffix(
                inherited, "workdir=\nstop-signal=15\naddress=10.0.2.15/24\ngateway=10.0.2.2\ndns=10.0.2.3\n"));
}

/* Found by another name, and nothing said but by the spec. */
static void test_root_directory(void **state) {
        g_autoptr(ImageConfig) nothing = image_config_new();
        json_t *object = image_config_to_json(nothing);
        char *config = json_dumps(object, 0);
        g_autofree char *m = build("{'RootDirectory': '/srv/a', 'Command': ['/bin/app', 'x']}", config, "web", NULL);

        assert_string_equal(
                m, "version=1\nroot=rootfs\nhostname=web\narg=/bin/app\narg=x\nuser=\nworkdir=\nstop-signal=15\n");
        free(config);
        json_decref(object);
}

/* What lies above is mounted first; the tag says where it is found. */
static void test_mounts(void **state) {
        g_autofree char *m = build("{'Volumes': ['/srv/a:/x/y', '/srv/b:/x'], 'VolumeArchives': ['/x/y/z', '/a']}",
                "{'entrypoint': ['x']}", "web", NULL);

        assert_true(g_str_has_suffix(m,
                "\nmount=volume archives/1 /a\nmount=volume volumes/1 /x\nmount=volume volumes/0 /x/y\n"
                "mount=volume archives/0 /x/y/z\n"));
}

static void test_hostname(void **state) {
        static const struct {
                const char *name, *line;
        } cases[] = {
                {"web", "\nhostname=web\n"},
                {"web.example.org", "\nhostname=web\n"},
                {"my_web_", "\nhostname=my-web\n"},
                {"a--", "\nhostname=a\n"},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autofree char *m = build("{}", "{'cmd': ['x']}", cases[i].name, NULL);

                assert_non_null(strstr(m, cases[i].line));
        }
}

static void test_without_network(void **state) {
        BootNetwork network = {.gateway = "10.0.2.2"};
        g_autofree char *m = build("{'DNS': ['9.9.9.9']}", "{'cmd': ['x']}", "web", &network);

        assert_null(strstr(m, "address="));
        assert_null(strstr(m, "gateway="));
        assert_null(strstr(m, "dns="));
}

static void assert_refused(const char *spec_text, const char *image_text, const char *text) {
        g_autoptr(VMSpec) spec = spec_of(spec_text);
        g_autoptr(ImageConfig) image = image_of(image_text);
        g_autoptr(Problem) problem = NULL;
        GByteArray *b = NULL;

        assert_int_equal(boot_message_build(spec, "web", image, NULL, &b, &problem), -EINVAL);
        assert_null(b);
        assert_string_equal(problem->error, "InvalidSpec");
        assert_string_equal(problem->key, "Command");
        assert_non_null(strstr(problem->text, text));
        assert_int_equal(boot_message_build(spec, "web", image, NULL, &b, NULL), -EINVAL);
}

static void test_no_program(void **state) {
        assert_refused("{}", "{}", "names no program");
        assert_refused("{}", "{'cmd': ['']}", "names no program");
        assert_refused("{'Command': ['', 'x']}", "{'cmd': ['y']}", "names no program");
}

static void test_too_large(void **state) {
        g_autofree char *value = repeat('x', GUEST_BOOT_MAX, "");
        g_autofree char *image = g_strdup_printf("{'cmd': ['x'], 'env': ['A=%s']}", value);

        assert_refused("{}", image, "at most 262144 are accepted");
}

/* The edge: as many bytes as the guest takes, not one more. */
static void test_largest(void **state) {
        g_autofree char *small = build("{}", "{'cmd': ['x'], 'env': ['A=']}", "web", NULL);
        g_autofree char *value = repeat('x', GUEST_BOOT_MAX - strlen(small), "");
        g_autofree char *image = g_strdup_printf("{'cmd': ['x'], 'env': ['A=%s']}", value);
        g_autofree char *larger = g_strdup_printf("{'cmd': ['x'], 'env': ['A=%sx']}", value);
        g_autofree char *m = build("{}", image, "web", NULL);

        assert_int_equal(strlen(m), GUEST_BOOT_MAX);
        assert_refused("{}", larger, "told 262145 bytes");
}

static void test_config(void **state) {
        static const char *const wrong[] = {
                "[]",
                "'x'",
                "{'cmd': 'sh'}",
                "{'cmd': {}}",
                "{'env': ['A=1', 2]}",
                "{'entrypoint': 1}",
                "{'ports': [null]}",
                "{'user': 0}",
                "{'workdir': []}",
                "{'stop_signal': 15}",
        };
        g_autoptr(ImageConfig) c =
                image_of("{'entrypoint': null, 'cmd': ['a', 'b'], 'ports': ['80/tcp'], 'user': null, 'unknown': 1}");
        json_t *printed = image_config_to_json(c), *expected = loads("{'entrypoint': [], 'cmd': ['a', 'b'], 'env': [], "
                                                                     "'user': '', 'workdir': '', 'stop_signal': '', "
                                                                     "'ports': ['80/tcp']}");

        assert_true(json_equal(printed, expected));
        json_decref(printed);
        json_decref(expected);
        for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
                json_t *o = loads(wrong[i]);
                ImageConfig *none = NULL;

                assert_int_equal(image_config_parse(o, &none), -EINVAL);
                assert_null(none);
                json_decref(o);
        }
        assert_int_equal(image_config_parse(NULL, &c), -EINVAL);
        image_config_free(NULL);
}

static void test_stop_signal(void **state) {
        static const struct {
                const char *text;
                int number;
        } cases[] = {
                {"SIGTERM", 15},
                {"TERM", 15},
                {"15", 15},
                {"", 15},
                {"SIGINT", 2},
                {"sigquit", 3},
                {"9", 9},
                {"SIGUSR1", 10},
                {"SIGWINCH", 28},
                {"SIGPWR", 30},
                {"SIGSYS", 31},
                {"64", 64},
                {"65", 15},
                {"0", 15},
                {"-9", 15},
                {"SIG", 15},
                {"SIGNOPE", 15},
                {"SIGRTMIN", 34},
                {"SIGRTMIN+3", 37},
                {"RTMIN+30", 64},
                {"RTMIN+31", 15},
                {"SIGRTMAX-14", 50},
                {"SIGRTMIN+", 15},
                {"SIGRTMIN+x", 15},
                {"RTMAX", 64},
                {"1e1", 15},
                {"999999999999", 15},
                {" 9", 15},
                {"SIGSIGTERM", 15},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
                assert_int_equal(stop_signal_number(cases[i].text), cases[i].number);
        assert_int_equal(stop_signal_number(NULL), 15);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_image_alone),
                cmocka_unit_test(test_spec_over_image),
                cmocka_unit_test(test_root_directory),
                cmocka_unit_test(test_mounts),
                cmocka_unit_test(test_hostname),
                cmocka_unit_test(test_without_network),
                cmocka_unit_test(test_no_program),
                cmocka_unit_test(test_too_large),
                cmocka_unit_test(test_largest),
                cmocka_unit_test(test_config),
                cmocka_unit_test(test_stop_signal),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
