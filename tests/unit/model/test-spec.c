/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Specs: the table of keys, every check at its edge, hostile input. */
#include <errno.h>

#include "unit.h"

#include "shared/pattern.h"
#include "spec-case.h"

static void test_defaults(void **state) {
        g_autoptr(VMSpec) s = good("");

        assert_string_equal(s->image, "web");
        assert_string_equal(s->target, "linux");
        assert_null(s->command[0]);
        assert_int_equal(s->memory_mib, 256);
        assert_int_equal(s->vcpus, 1);
        assert_string_equal(s->network, NETWORK_USER);
        assert_int_equal(s->n_ports, 0);
        assert_string_equal(s->architecture, "x86_64");
        assert_int_equal(s->accelerator, ACCELERATOR_AUTO);
        assert_int_equal(s->stop_timeout, 10000000);
        assert_null(s->labels);
        assert_false(s->ephemeral);
}

#define EVERYTHING                                                                                                     \
        "'Target': 'linux', 'Command': ['serve', '--x', ''], 'Environment': ['A=1', 'B=two\\nlines', '_c='],"          \
        "'User': 'www:33', 'Hostname': 'web.example', 'WorkingDirectory': '/srv', 'MemoryMiB': 512, 'VCPUs': 2,"       \
        "'Network': 'user', 'DNS': ['9.9.9.9', '2620:fe::fe'], 'Ports': ['8080:80', '[::1]:53/udp'],"                  \
        "'Kernel': '6.1.0-18-cloud-amd64', 'Architecture': 'x86_64', 'Restart': 'on-failure:3', 'Accelerator': 'tcg'," \
        "'StopTimeout': 5,"                                                                                            \
        "'Labels': {'b': '2', 'a/x': ''}, 'Ephemeral': true, 'Credentials': {'tls.key': 1700, 'a': 1}, "               \
        "'Volumes': ['/srv/a:/b', '/srv/c'], 'Disks': [['/data', 16777216, 'db']], 'Shares': ['/srv/s:/s'], 'VolumeArchives': ['/d'], "                                               \
        "'Ready': {'Kind': 'console', 'Pattern': 'up*'}, 'Health': {'Kind': 'http', 'Port': 80}, "                     \
        "'Limits': {'IOWeight': 0, 'CPUWeight': 50, 'CPUQuotaPerSec': 500000}"

static void assert_printed(const VMSpec *s, const char *expected) {
        json_t *o = vm_spec_to_json(s);
        char *text = json_dumps(o, JSON_COMPACT);

        assert_string_equal(text, expected);
        free(text);
        json_decref(o);
}

static void test_round_trip(void **state) {
        static const char expected[] =
                "{\"Image\":\"web\",\"Target\":\"linux\",\"RootDirectory\":\"\",\"Command\":[\"serve\",\"--x\",\"\"],"
                "\"Environment\":[\"A=1\",\"B=two\\nlines\",\"_c=\"],\"User\":\"www:33\",\"Hostname\":\"web.example\","
                "\"WorkingDirectory\":\"/srv\",\"MemoryMiB\":512,\"VCPUs\":2,\"Network\":\"user\",\"Address\":\"\","
                "\"DNS\":[\"9.9.9.9\",\"2620:fe::fe\"],\"Ports\":[\"127.0.0.1:8080:80/tcp\",\"[::1]:53:53/udp\"],"
                "\"Kernel\":\"6.1.0-18-cloud-amd64\",\"Architecture\":\"x86_64\",\"Restart\":\"on-failure:3\","
                "\"Profile\":\"\",\"Accelerator\":\"tcg\","
                "\"StopTimeout\":5,\"Labels\":{\"a/"
                "x\":\"\",\"b\":\"2\"},\"Ephemeral\":true,\"Credentials\":{\"a\":0,\"tls.key\":0},"
                "\"Volumes\":[\"/srv/a:/b\",\"/srv/c\"],\"Disks\":[[\"/data\",16777216,\"db\"]],\"Shares\":[\"/srv/s:/"
                "s\"],\"VolumeArchives\":[\"/d\"],"
                "\"Ready\":{\"Kind\":\"console\",\"Pattern\":\"up*\",\"StartPeriod\":60000000,\"Interval\":1000000,"
                "\"Timeout\":1000000},"
                "\"Health\":{\"Kind\":\"http\",\"Port\":80,\"Path\":\"/\",\"StartPeriod\":0,\"Interval\":10000000,"
                "\"Timeout\":5000000,\"Retries\":3},"
                "\"Limits\":{\"CPUWeight\":50,\"CPUQuotaPerSec\":500000}}";
        g_autoptr(VMSpec) s = good(EVERYTHING), copy = vm_spec_copy(s), again = NULL;
        g_autoptr(GPtrArray) problems = problems_new();

        assert_printed(s, expected);
        assert_printed(copy, expected);
        assert_int_equal(parse_object(vm_spec_to_json(s), &limits, problems, &again), 0);
        assert_printed(again, expected);
}

static void test_table(void **state) {
        size_t n = 0;
        g_autoptr(VMSpec) s = good("");
        json_t *o = vm_spec_to_json(s);

        for (const SpecKey *k = spec_keys(); k->name; k++, n++) {
                assert_ptr_equal(spec_key_find(k->name), k);
                assert_non_null(json_object_get(o, k->name));
                for (const SpecKey *other = k + 1; other->name; other++) {
                        assert_string_not_equal(k->name, other->name);
                        assert_string_not_equal(k->record, other->record);
                }
        }
        assert_int_equal(n, json_object_size(o));
        assert_null(spec_key_find("memorymib"));
        json_decref(o);
}

/* Every key with a value of every other type: a sentence, never a crash. */
static void test_wrong_types(void **state) {
        static const struct {
                const char *signature, *value;
        } values[] = {
                {"s", "'auto'"},
                {"u", "1"},
                {"as", "['x']"},
                {"a{ss}", "{'x': 'y'}"},
                {"b", "true"},
                {"-", "null"},
                {"-", "1.5"},
                {"-", "[1]"},
                {"-", "[['x']]"},
                {"a{say}", "{'x': 1}"},
        };

        for (const SpecKey *k = spec_keys(); k->name; k++)
                for (size_t i = 0; i < G_N_ELEMENTS(values); i++) {
                        bool number = strchr("ut", k->signature[0]) && values[i].signature[0] == 'u';
                        g_autofree char *member = g_strdup_printf("'%s': %s", k->name, values[i].value);
                        g_autofree char *begin = g_strdup_printf(
                                "%s: expected a value of D-Bus signature '%s', got ", k->name, k->signature);
                        g_autoptr(GPtrArray) problems = problems_new();
                        g_autoptr(VMSpec) spec = NULL;

                        bool strings = g_str_equal(k->signature, "a(sh)") && g_str_equal(values[i].signature, "as");

                        if (number || strings || g_str_equal(k->signature, values[i].signature))
                                continue;
                        /* A dictionary has problems of its own, with other words. */
                        if (g_str_equal(k->signature, "a{sv}") && values[i].value[0] == '{')
                                continue;
                        assert_int_equal(parse_object(object_of(member), &limits, problems, &spec), -EINVAL);
                        assert_int_equal(problems->len, 1);
                        assert_true(g_str_has_prefix(((Problem *) problems->pdata[0])->text, begin));
                }
        assert_problem(
                "'MemoryMiB': '256'", "MemoryMiB", "MemoryMiB: expected a value of D-Bus signature 'u', got a string");
        assert_problem("'Command': ['a', 1]", "Command",
                "Command: expected a value of D-Bus signature 'as', got an array with other elements");
}

static void test_unknown_keys(void **state) {
        assert_problem("'MemoryMib': 1", "MemoryMib", "unknown key 'MemoryMib'; did you mean 'MemoryMiB'?");
        assert_problem("'Memory': 1", "Memory", "unknown key 'Memory'; did you mean 'MemoryMiB'?");
        assert_problem("'Port': 1", "Port", "unknown key 'Port'; did you mean 'Ports'?");
        assert_problem("'VCPU': 1", "VCPU", "unknown key 'VCPU'; did you mean 'VCPUs'?");
        assert_problem("'environment': []", "environment", "unknown key 'environment'; did you mean 'Environment'?");
        assert_problem("'Frobnicate': 1", "Frobnicate", "unknown key 'Frobnicate'");
        assert_problem("'': 1", "", "unknown key ''");
        assert_problem("'x\\u001b[31m': 1", "x\x1b[31m", "unknown key 'x\\x1b[31m'");
}

/* Sizes are checked, and not kept: a spec has names alone. */
static void test_long_unknown_key(void **state) {
        g_autofree char *key = repeat('k', 100000, "");
        g_autofree char *shown = repeat('k', 64, "");
        g_autofree char *expected = g_strdup_printf("unknown key '%s...'", shown);
        json_t *o = object_of("");

        json_object_set_new(o, key, json_true());
        assert_problem_object(o, key, expected);
}

/* A flood of problems is cut, and is still a refusal. */
static void test_flood(void **state) {
        g_autoptr(GPtrArray) problems = problems_new();
        g_autoptr(VMSpec) spec = NULL;
        json_t *o = object_of("'MemoryMiB': 0");

        for (int i = 0; i < 5000; i++) {
                g_autofree char *key = g_strdup_printf("key-%d", i);

                json_object_set_new(o, key, json_true());
        }
        assert_int_equal(vm_spec_parse(o, &limits, problems, &spec), -EINVAL);
        assert_int_equal(problems->len, SPEC_PROBLEMS_MAX);
        assert_string_equal(((Problem *) problems->pdata[0])->key, "MemoryMiB");
        assert_int_equal(vm_spec_parse(o, &limits, problems, &spec), -EINVAL);
        json_decref(o);
}

static void test_flood_of_elements(void **state) {
        g_autoptr(GPtrArray) problems = problems_new();
        g_autoptr(VMSpec) spec = NULL;
        json_t *o = object_of(""), *a = json_array();

        for (int i = 0; i < 1000; i++)
                json_array_append_new(a, json_string("no assignment"));
        json_object_set_new(o, "Environment", a);
        assert_int_equal(parse_object(o, &limits, problems, &spec), -EINVAL);
        assert_int_equal(problems->len, SPEC_PROBLEMS_MAX);
}

/* All at once, in the order of the keys, the unknown last. */
static void test_every_problem(void **state) {
        static const char *const keys[] = {"Image", "Hostname", "VCPUs", "Ports", "Ports", "Labels", "Bogus"};
        g_autoptr(GPtrArray) problems = problems_new();
        g_autoptr(VMSpec) spec = NULL;
        json_t *o =
                object_of("'Bogus': 1, 'Labels': {'-': ''}, 'Ports': ['x', '80', 'y'], 'VCPUs': 9, 'Hostname': '-'");

        json_object_set_new(o, "Image", json_string("Not An Image"));
        assert_int_equal(parse_object(o, &limits, problems, &spec), -EINVAL);
        assert_int_equal(problems->len, G_N_ELEMENTS(keys));
        for (guint i = 0; i < problems->len; i++)
                assert_string_equal(((Problem *) problems->pdata[i])->key, keys[i]);
}

static void test_image(void **state) {
        json_t *o = json_object();
        static const char accepted[] =
                "is not a reference [registry/]path[:tag][@sha256:hex] of at most 512 bytes or a digest sha256:hex";
        g_autofree char *bad = g_strdup_printf("Image: '../etc' %s", accepted);

        assert_problem_object(o, "Image",
                "Image: is required: a reference [registry/]path[:tag][@sha256:hex] or a digest sha256:hex");
        o = json_pack("{s:s}", "Image", "../etc");
        assert_problem_object(o, "Image", bad);

        g_autoptr(GPtrArray) problems = problems_new();
        g_autoptr(VMSpec) spec = NULL;

        o = json_pack("{s:s}", "Image", "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08");
        assert_int_equal(parse_object(o, &limits, problems, &spec), 0);
}

static void test_numbers(void **state) {
        assert_good("'MemoryMiB': 64, 'VCPUs': 1, 'StopTimeout': 0");
        assert_good("'MemoryMiB': 24105, 'VCPUs': 8, 'StopTimeout': 3600000000");
        assert_problem("'MemoryMiB': 0", "MemoryMiB", "MemoryMiB: 0 is not between 64 and 24105");
        assert_problem("'MemoryMiB': 63", "MemoryMiB", "MemoryMiB: 63 is not between 64 and 24105");
        assert_problem("'MemoryMiB': 24106", "MemoryMiB", "MemoryMiB: 24106 is not between 64 and 24105");
        assert_problem("'MemoryMiB': 4294967295", "MemoryMiB", "MemoryMiB: 4294967295 is not between 64 and 24105");
        assert_problem("'MemoryMiB': 4294967296", "MemoryMiB",
                "MemoryMiB: expected a value of D-Bus signature 'u', 4294967296 is not between 0 and 4294967295");
        assert_problem("'VCPUs': -1", "VCPUs",
                "VCPUs: expected a value of D-Bus signature 'u', -1 is not between 0 and 4294967295");
        assert_problem("'VCPUs': 0", "VCPUs", "VCPUs: 0 is not between 1 and 8");
        assert_problem("'VCPUs': 9", "VCPUs", "VCPUs: 9 is not between 1 and 8");
        assert_problem("'StopTimeout': 3600000001", "StopTimeout",
                "StopTimeout: 3600000001 is not between 0 and 3600000000 microseconds");
        assert_problem("'StopTimeout': -1", "StopTimeout",
                "StopTimeout: 18446744073709551615 is not between 0 and 3600000000 microseconds");
}

static void test_words(void **state) {
        assert_good("'Network': 'none', 'Accelerator': 'kvm'");
        assert_good("'Network': 'br0'");
        assert_good("'Network': 'lab', 'Address': '10.99.0.7', 'Ports': ['80', '53/udp']");
        assert_problem("'Network': ''", "Network", "Network: '' is not 'user', 'none' or the name of a network");
        assert_problem("'Network': 'Br0'", "Network", "Network: 'Br0' is not 'user', 'none' or the name of a network");
        assert_problem("'Address': '10.99.0.7'", "Address",
                "Address: can be wished only on a network, not with Network 'user'");
        assert_problem(
                "'Network': 'lab', 'Address': '10.99.0'", "Address", "Address: '10.99.0' is not an IPv4 address");
        assert_problem("'Network': 'lab', 'Ports': ['8080:80']", "Ports",
                "Ports: '127.0.0.1:8080:80/tcp': on network 'lab' only the guest's port is given, as in '80/tcp'");
        assert_problem("'Accelerator': 'hvf'", "Accelerator", "Accelerator: 'hvf' is not one of 'auto', 'kvm', 'tcg'");
        assert_problem("'Target': 'unikraft'", "Target", "Target: 'unikraft' is not 'linux' or 'nanos'");
        assert_problem("'Architecture': 'arm64'", "Architecture",
                "Architecture: 'arm64' is none of x86_64; the first is this host's, others are emulated");
}

/* A Nanos guest has no init of ours, so what is told to it is refused; it needs less memory, and more time to go. */
static void test_nanos(void **state) {
        static const char *const unknown[] = {"User", "Hostname", "WorkingDirectory", "Kernel"};

        assert_good("'Target': 'nanos', 'MemoryMiB': 32, 'Environment': ['A=1'], 'Command': ['x'], 'Ports': ['80']");
        assert_problem("'Target': 'nanos', 'MemoryMiB': 31", "MemoryMiB", "MemoryMiB: 31 is not between 32 and 24105");
        for (size_t i = 0; i < G_N_ELEMENTS(unknown); i++) {
                g_autofree char *member = g_strdup_printf("'Target': 'nanos', '%s': '%s'", unknown[i],
                        g_str_equal(unknown[i], "WorkingDirectory") ? "/x" : "6");
                g_autofree char *expected = g_strdup_printf(
                        "%s: is not known to a guest of Target 'nanos'; leave it out", unknown[i]);

                assert_problem(member, unknown[i], expected);
        }
        assert_problem("'Target': 'nanos', 'DNS': ['10.0.0.1']", "DNS",
                "DNS: is not known to a guest of Target 'nanos'; leave it out");

        g_autoptr(GPtrArray) problems = problems_new();
        g_autoptr(VMSpec) spec = NULL;
        g_autoptr(VMSpec) wished = NULL;

        assert_int_equal(parse_object(json_pack("{s:s, s:s}", "Image", "web", "Target", "nanos"), &limits, problems, &spec), 0);
        assert_int_equal(spec->stop_timeout, SPEC_NANOS_STOP_TIMEOUT);
        assert_int_equal(parse_object(json_pack("{s:s, s:s, s:i}", "Image", "web", "Target", "nanos", "StopTimeout", 7),
                                 &limits, problems, &wished),
                0);
        assert_int_equal(wished->stop_timeout, 7);
}

static void test_environment(void **state) {
        static const char accepted[] = "is not the name of a KEY=VALUE, with a KEY of [A-Za-z_][A-Za-z0-9_]*";
        static const struct {
                const char *element, *shown;
        } bad[] = {{"", ""}, {"A", "A"}, {"=secret", ""}, {"1A=secret", "1A"}, {"A B=secret", "A B"},
                {"A-B=secret", "A-B"}};

        assert_good("'Environment': ['A=', '_=x', 'aZ09_=a=b']");
        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                g_autofree char *member = g_strdup_printf("'Environment': ['%s']", bad[i].element);
                g_autofree char *expected = g_strdup_printf("Environment: '%s' %s", bad[i].shown, accepted);

                assert_problem(member, "Environment", expected);
        }
}

/* n elements of `bytes` bytes each. */
static json_t *strings_of(const char *key, size_t n, size_t bytes, const char *prefix) {
        g_autofree char *rest = repeat('x', bytes - strlen(prefix), "");
        g_autofree char *element = g_strconcat(prefix, rest, NULL);
        json_t *o = object_of(""), *a = json_array();

        for (size_t i = 0; i < n; i++)
                json_array_append_new(a, json_string(element));
        json_object_set_new(o, key, a);
        return o;
}

static void assert_good_object(json_t *object) {
        g_autoptr(GPtrArray) problems = problems_new();
        g_autoptr(VMSpec) spec = NULL;

        assert_int_equal(parse_object(object, &limits, problems, &spec), 0);
}

static void test_string_limits(void **state) {
        assert_good_object(strings_of("Command", SPEC_STRINGS_MAX, 1, ""));
        assert_problem_object(strings_of("Command", SPEC_STRINGS_MAX + 1, 1, ""), "Command",
                "Command: has 1025 elements, at most 1024 are accepted");
        assert_good_object(strings_of("Environment", 1, SPEC_STRING_BYTES_MAX, "A="));
        assert_problem_object(strings_of("Environment", 1, SPEC_STRING_BYTES_MAX + 1, "A="), "Environment",
                "Environment: element 0 has 32769 bytes, at most 32768 are accepted");
        /* With a NUL each: exactly the limit, and one more. */
        assert_good_object(strings_of("Command", 2, SPEC_STRING_BYTES_MAX - 1, ""));

        json_t *o = strings_of("Command", 2, SPEC_STRING_BYTES_MAX - 1, "");

        json_object_set_new(o, "Environment", json_pack("[s]", "A="));
        assert_problem_object(
                o, "Environment", "Environment: has 65539 bytes together with Command, at most 65536 are accepted");
}

static void assert_string_key(const char *key, const char *value, bool accepted) {
        g_autoptr(GPtrArray) problems = problems_new();
        g_autoptr(VMSpec) spec = NULL;
        json_t *o = object_of("");

        json_object_set_new(o, key, json_string(value));
        if ((parse_object(o, &limits, problems, &spec) == 0) != accepted)
                fail_msg("%s '%s': %s", key, value, accepted ? "refused" : "accepted");
        if (!accepted)
                assert_string_equal(((Problem *) problems->pdata[0])->key, key);
}

static void test_hostname(void **state) {
        static const char *const accepted[] = {"", "a", "A-1", "1", "a.b", "web-1.example.org"};
        static const char *const refused[] = {
                "-a", "a-", "a.", ".a", "a..b", "a.-b", "a_b", "a b", "a\n", "h\xc3\xb6st", "a/b", "."};
        g_autofree char *label63 = repeat('a', 63, ""), *label64 = repeat('a', 64, "");
        g_autofree char *name64 = repeat('a', 62, ".a"), *name65 = repeat('a', 63, ".a");

        for (size_t i = 0; i < G_N_ELEMENTS(accepted); i++)
                assert_string_key("Hostname", accepted[i], true);
        for (size_t i = 0; i < G_N_ELEMENTS(refused); i++)
                assert_string_key("Hostname", refused[i], false);
        assert_string_key("Hostname", label63, true);
        assert_string_key("Hostname", label64, false);
        assert_string_key("Hostname", name64, true);
        assert_string_key("Hostname", name65, false);
}

static void test_user(void **state) {
        static const char *const accepted[] = {"", "root", "0", "www-data:www-data", "1000:1000", "a.b_c"};
        static const char *const refused[] = {":", "a:", ":a", "a:b:c", "a b", "-a", "a:-b", "a/b", "a\n", "a\tb"};
        g_autofree char *part64 = repeat('u', 64, ":g"), *part65 = repeat('u', 65, ":g");

        for (size_t i = 0; i < G_N_ELEMENTS(accepted); i++)
                assert_string_key("User", accepted[i], true);
        for (size_t i = 0; i < G_N_ELEMENTS(refused); i++)
                assert_string_key("User", refused[i], false);
        assert_string_key("User", part64, true);
        assert_string_key("User", part65, false);
}

static void test_paths(void **state) {
        static const char *const kernels[] = {"", "6.1.0-18-cloud-amd64", "6.12.9+bpo-cloud-amd64", "5.10_x~rc1"};
        static const char *const no_kernels[] = {"..", "../../etc", ".hidden", "-x", "a/b", "a b", "/boot/vmlinuz"};
        g_autofree char *longest = repeat('d', 4094, ""), *longer = repeat('d', 4095, "");
        g_autofree char *path = g_strconcat("/", longest, NULL), *too_long = g_strconcat("/", longer, NULL);
        g_autofree char *kernel = repeat('6', 64, ""), *long_kernel = repeat('6', 65, "");

        for (size_t i = 0; i < G_N_ELEMENTS(kernels); i++)
                assert_string_key("Kernel", kernels[i], true);
        for (size_t i = 0; i < G_N_ELEMENTS(no_kernels); i++)
                assert_string_key("Kernel", no_kernels[i], false);
        assert_string_key("Kernel", kernel, true);
        assert_string_key("Kernel", long_kernel, false);
        assert_string_key("WorkingDirectory", "/srv/my app", true);
        assert_string_key("WorkingDirectory", "srv", false);
        assert_string_key("WorkingDirectory", "/a\nb", false);
        assert_string_key("WorkingDirectory", "/a\x7f", false);
        assert_string_key("WorkingDirectory", path, true);
        assert_string_key("WorkingDirectory", too_long, false);
}

static void test_dns(void **state) {
        assert_good("'DNS': ['1.1.1.1', '::1', '8.8.8.8', '2620:fe::fe']");
        assert_problem("'DNS': ['1.1.1.1', '1.1.1.1', '1.1.1.1', '1.1.1.1', '1.1.1.1']", "DNS",
                "DNS: has 5 elements, at most 4 are accepted");
        assert_problem("'DNS': ['dns.example']", "DNS", "DNS: 'dns.example' is not an IPv4 or IPv6 address");
        assert_problem(
                "'DNS': ['1.1.1.1\\nsearch x']", "DNS", "DNS: '1.1.1.1\\x0asearch x' is not an IPv4 or IPv6 address");
}

static json_t *many_ports(unsigned n) {
        json_t *o = object_of(""), *a = json_array();

        for (unsigned i = 0; i < n; i++) {
                g_autofree char *text = g_strdup_printf("%u", 2000 + i);

                json_array_append_new(a, json_string(text));
        }
        json_object_set_new(o, "Ports", a);
        return o;
}

static void test_ports(void **state) {
        assert_good("'Ports': ['80', '80/udp', '81:80']");
        assert_good("'Ports': ['0:80', '0:80', '0:53/udp']");
        assert_problem("'Ports': ['53/udp', '0:53/udp']", "Ports",
                "Ports: '127.0.0.1:53:53/udp' and '127.0.0.1:0:53/udp' take the same UDP port of the guest, a VM may take each once");
        assert_good("'Ports': [], 'Network': 'none'");
        assert_good_object(many_ports(SPEC_PORTS_MAX));
        assert_problem_object(
                many_ports(SPEC_PORTS_MAX + 1), "Ports", "Ports: has 65 elements, at most 64 are accepted");
        assert_problem("'Ports': ['8080:80', '8080:81']", "Ports",
                "Ports: '127.0.0.1:8080:80/tcp' and '127.0.0.1:8080:81/tcp' take the same port of the host, a VM may "
                "take "
                "each once");
        assert_problem("'Ports': ['8080:80', '127.0.0.2:8080:81']", "Ports",
                "Ports: '127.0.0.1:8080:80/tcp' and '127.0.0.2:8080:81/tcp' take the same port of the host, a VM may "
                "take "
                "each once");
        assert_problem("'Ports': ['80'], 'Network': 'none'", "Ports",
                "Ports: cannot be published with Network 'none', only with 'user'");
        assert_problem("'Ports': ['80; reboot']", "Ports", "Ports: '80; reboot': " PORT_ACCEPTED);
}

static json_t *many_labels(unsigned n, size_t bytes) {
        g_autofree char *value = repeat('v', bytes, "");
        json_t *o = object_of(""), *labels = json_object();

        for (unsigned i = 0; i < n; i++) {
                g_autofree char *key = g_strdup_printf("k%02u", i);

                json_object_set_new(labels, key, json_string(value));
        }
        json_object_set_new(o, "Labels", labels);
        return o;
}

static void test_labels(void **state) {
        g_autofree char *key128 = repeat('k', 128, ""), *key129 = repeat('k', 129, "");
        g_autofree char *good_key = g_strdup_printf("'Labels': {'%s': '', 'org.example/x_y-z': 'a \xc3\xa4'}", key128);
        g_autofree char *long_key = g_strdup_printf("'Labels': {'%s': ''}", key129);
        g_autofree char *shown = repeat('k', 64, "");
        g_autofree char *expected = g_strdup_printf(
                "Labels: '%s...' is not a label's key: a letter or digit, then up to 127 of [A-Za-z0-9._/-]", shown);

        assert_good(good_key);
        assert_problem(long_key, "Labels", expected);
        assert_good_object(many_labels(SPEC_LABELS_MAX, 61)); /* 64 x (3 + 61) = 4096 */
        assert_problem_object(
                many_labels(SPEC_LABELS_MAX + 1, 1), "Labels", "Labels: has 65 entries, at most 64 are accepted");
        assert_problem_object(
                many_labels(SPEC_LABELS_MAX, 62), "Labels", "Labels: has 4160 bytes in all, at most 4096 are accepted");
        assert_problem("'Labels': {'': ''}", "Labels",
                "Labels: '' is not a label's key: a letter or digit, then up to 127 of [A-Za-z0-9._/-]");
        assert_problem("'Labels': {'a': 'x\\ny'}", "Labels",
                "Labels: 'x\\x0ay' is not a label's value: text without control characters");
}

/* However the table hashes: two prints of one spec are the same text. */
static void test_labels_sorted(void **state) {
        g_autoptr(VMSpec) s =
                good("'Labels': {'g': '', 'c': '', 'a': '', 'h': '', 'e': '', 'b': '', 'f': '', 'd': ''}");
        json_t *o = vm_spec_to_json(s);
        const char *key, *last = "";
        json_t *value;

        json_object_foreach(json_object_get(o, "Labels"), key, value) {
                assert_true(strcmp(last, key) < 0);
                last = key;
        }
        assert_string_equal(last, "h");
        json_decref(o);
}

/* Ready and Health: what each kind has, and the edges. */
static void test_probes(void **state) {
        static const char *const fine[] = {
                "'Ready': {}",
                "'Ready': {'Kind': 'message'}",
                "'Ready': {'Kind': 'console', 'Pattern': 'a\\\\*b*c?'}",
                "'Ready': {'Kind': 'tcp', 'Port': 65535, 'StartPeriod': 0, 'Interval': 100000, 'Timeout': 600000000}",
                "'Health': {'Kind': 'http', 'Port': 1, 'Path': '/a?b=c', 'Retries': 100, 'Interval': 3600000000}",
                "'Health': {'Kind': 'message', 'StartPeriod': 3600000000}",
        };
        static const char *const bad[][2] = {
                {"'Ready': {'Port': 1}", "Ready: Kind: is required: 'message', 'console', 'tcp' or 'http'"},
                {"'Ready': {'Kind': ''}", "Ready: Kind: '' is not 'message', 'console', 'tcp' or 'http'"},
                {"'Ready': {'Kind': 'ping'}", "Ready: Kind: 'ping' is not 'message', 'console', 'tcp' or 'http'"},
                {"'Ready': {'Kind': 7}", "Ready: Kind: expected a string"},
                {"'Ready': {'Kind': 'tcp'}", "Ready: Port: 0 is not between 1 and 65535"},
                {"'Ready': {'Kind': 'tcp', 'Port': 65536}", "Ready: Port: 65536 is not between 1 and 65535"},
                {"'Ready': {'Kind': 'tcp', 'Port': '80'}", "Ready: Port: expected a number"},
                {"'Ready': {'Kind': 'tcp', 'Port': 80, 'Path': '/'}", "Ready: Path: Kind 'tcp' has none"},
                {"'Ready': {'Kind': 'message', 'Pattern': 'x'}", "Ready: Pattern: Kind 'message' has none"},
                {"'Ready': {'Kind': 'message', 'Retries': 1}", "Ready: Retries: only Health has it"},
                {"'Ready': {'Kind': 'message', 'Interval': 99999}",
                        "Ready: Interval: 99999 is not between 100000 and 3600000000 microseconds"},
                {"'Ready': {'Kind': 'message', 'Frob': 1}", "Ready: unknown key 'Frob'; known are Kind, Pattern, Port, "
                                                            "Path, StartPeriod, Interval, Timeout, Retries"},
                {"'Health': {'Kind': 'message', 'Timeout': 600000001}",
                        "Health: Timeout: 600000001 is not between 100000 and 600000000 microseconds"},
                {"'Health': {'Kind': 'message', 'StartPeriod': -1}",
                        "Health: StartPeriod: 18446744073709551615 is not between 0 and 3600000000 microseconds"},
                {"'Health': {'Kind': 'message', 'Retries': 0}", "Health: Retries: 0 is not between 1 and 100"},
                {"'Health': {'Kind': 'message', 'Retries': 101}", "Health: Retries: 101 is not between 1 and 100"},
                {"'Health': {'Kind': 'http', 'Port': 80, 'Path': 'x'}",
                        "Health: Path: 'x' is not an absolute path of at most 512 printable ASCII characters, no blank "
                        "among them"},
                {"'Health': {'Kind': 'http', 'Port': 80, 'Path': '/a b'}",
                        "Health: Path: '/a b' is not an absolute path of at most 512 printable ASCII characters, no "
                        "blank among them"},
                {"'Health': {'Kind': 'console'}", "Health: Pattern: '' is not " PATTERN_ACCEPTED},
                {"'Health': {'Kind': 'console', 'Pattern': '***'}", "Health: Pattern: '***' is not " PATTERN_ACCEPTED},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(fine); i++)
                assert_good(fine[i]);
        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                g_autofree char *key = g_strndup(bad[i][1], strcspn(bad[i][1], ":"));

                assert_problem(bad[i][0], key, bad[i][1]);
        }
}

/* Who can probe a guest without guest init. */
static void test_nanos_probes(void **state) {
        static const char *const kinds[] = {"'tcp', 'Port': 80", "'http', 'Port': 80"}, *const keys[] = {"Ready", "Health"},
                          *const networks[] = {"none", "default"};

        for (size_t k = 0; k < G_N_ELEMENTS(keys); k++) {
                g_autofree char *message = g_strdup_printf("'Target': 'nanos', '%s': {'Kind': 'message'}", keys[k]);
                g_autofree char *why = g_strdup_printf("%s: Kind: 'message' is taken by the guest's init, which a nanos guest has "
                                                       "not; use 'console', or with Network 'user' also 'tcp' or 'http'",
                        keys[k]);
                g_autofree char *console = g_strdup_printf(
                        "'Target': 'nanos', 'Network': 'none', '%s': {'Kind': 'console', 'Pattern': 'up'}", keys[k]);

                assert_problem(message, keys[k], why);
                assert_good(console);
                for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
                        g_autofree char *probe = g_strdup_printf("'Target': 'nanos', '%s': {'Kind': %s}", keys[k], kinds[i]);
                        g_autofree char *refusal = g_strdup_printf(
                                "%s: Kind: '%s': tcp and http probes of a nanos guest need Network 'user'; use 'console'",
                                keys[k], i == 0 ? "tcp" : "http");

                        assert_good(probe);
                        for (size_t n = 0; n < G_N_ELEMENTS(networks); n++) {
                                g_autofree char *elsewhere = g_strdup_printf("'Network': '%s', %s", networks[n], probe);

                                assert_problem(elsewhere, keys[k], refusal);
                        }
                }
        }
}

static void test_limits(void **state) {
        assert_good("'Limits': {}");
        assert_good("'Limits': {'CPUWeight': 10000, 'IOWeight': 1, 'CPUQuotaPerSec': 10000, 'MemoryMax': 67108864}");
        assert_problem("'Limits': {'CPUWeight': 10001}", "Limits",
                "Limits: CPUWeight: 10001 is not between 1 and 10000, or 0 for none");
        assert_problem("'Limits': {'CPUQuotaPerSec': 9999}", "Limits",
                "Limits: CPUQuotaPerSec: 9999 is not between 10000 and 1024000000 microseconds a second, or 0 for "
                "none");
        assert_problem("'Limits': {'MemoryMax': 67108863}", "Limits",
                "Limits: MemoryMax: 67108863 is not between 67108864 and 1125899906842624 bytes, or 0 for none");
        assert_problem("'Limits': {'IOWeight': -1}", "Limits",
                "Limits: IOWeight: -1 is not between 1 and 10000, or 0 for none");
        assert_problem("'Limits': {'IOWeight': '1'}", "Limits", "Limits: IOWeight: expected a number");
        assert_problem("'Limits': {'TasksMax': 1}", "Limits",
                "Limits: unknown key 'TasksMax'; known are CPUWeight, CPUQuotaPerSec, MemoryMax, IOWeight");
}

/* What another host accepted is still a record; what no host accepts is none. */
static void test_form_only(void **state) {
        SpecLimits form = limits;
        g_autoptr(GPtrArray) problems = problems_new();
        g_autoptr(VMSpec) spec = NULL, other = NULL;

        form.form_only = true;
        assert_int_equal(parse_object(object_of("'MemoryMiB': 99999, 'VCPUs': 640, 'Architecture': 'aarch64'"), &form,
                                 problems, &spec),
                0);
        assert_int_equal(
                parse_object(object_of("'Kernel': '../x', 'Architecture': 'x/y'"), &form, problems, &other), -EINVAL);
        assert_int_equal(problems->len, 2);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_defaults),
                cmocka_unit_test(test_round_trip),
                cmocka_unit_test(test_table),
                cmocka_unit_test(test_wrong_types),
                cmocka_unit_test(test_unknown_keys),
                cmocka_unit_test(test_long_unknown_key),
                cmocka_unit_test(test_flood),
                cmocka_unit_test(test_flood_of_elements),
                cmocka_unit_test(test_labels_sorted),
                cmocka_unit_test(test_every_problem),
                cmocka_unit_test(test_image),
                cmocka_unit_test(test_numbers),
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_nanos),
                cmocka_unit_test(test_environment),
                cmocka_unit_test(test_string_limits),
                cmocka_unit_test(test_hostname),
                cmocka_unit_test(test_user),
                cmocka_unit_test(test_paths),
                cmocka_unit_test(test_dns),
                cmocka_unit_test(test_ports),
                cmocka_unit_test(test_labels),
                cmocka_unit_test(test_probes),
                cmocka_unit_test(test_nanos_probes),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_form_only),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
