/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns what each value of a spec must be beyond its type, and the sentences that say so. */
#include "model/spec-check.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <string.h>

#include "model/name.h"
#include "model/network-spec.h"
#include "model/restart.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

#define HOSTNAME_MAX 64U /* the kernel's */
#define HOST_LABEL_MAX 63U
#define USER_PART_MAX 64U
#define PATH_BYTES_MAX 4095U
#define KERNEL_VERSION_MAX 64U /* utsname's, less its NUL */
#define LABEL_KEY_MAX 128U
#define VCPUS_MIN 1U

static void add_problem(const SpecCheck *check, const char *error, const char *format, va_list ap) G_GNUC_PRINTF(3, 0);
static void add_problem(const SpecCheck *check, const char *error, const char *format, va_list ap) {
        g_autofree char *text = NULL;

        if (check->problems->len >= SPEC_PROBLEMS_MAX)
                return;
        text = g_strdup_vprintf(format, ap);
        g_ptr_array_add(check->problems, problem_new(error, check->key, "%s: %s", check->key, text));
}

void spec_problem(const SpecCheck *check, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        add_problem(check, "InvalidSpec", format, ap);
        va_end(ap);
}

void spec_problem_named(const SpecCheck *check, const char *error, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        add_problem(check, error, format, ap);
        va_end(ap);
}

static void problem_value(const SpecCheck *check, const char *value, const char *accepted) {
        g_autofree char *quoted = problem_quote(value);

        spec_problem(check, "%s is not %s", quoted, accepted);
}

static bool has_control(const char *s) {
        for (; *s; s++)
                if ((unsigned char) *s < 0x20 || *s == 0x7f)
                        return true;
        return false;
}

void spec_check_image(const VMSpec *spec, const SpecCheck *check) {
        if (spec->image[0] == '\0') /* spec_check_root_directory() says whether it may be */
                return;
        if (!image_reference_is_valid(spec->image) && !digest_is_valid(spec->image))
                problem_value(check, spec->image,
                        "a reference [registry/]path[:tag][@sha256:hex] of at most 512 bytes or a digest sha256:hex");
}

void spec_check_target(const VMSpec *spec, const SpecCheck *check) {
        if (!g_str_equal(spec->target, TARGET_LINUX) && !g_str_equal(spec->target, TARGET_NANOS))
                problem_value(check, spec->target, "'" TARGET_LINUX "' or '" TARGET_NANOS "'");
}

void spec_check_for_linux(const VMSpec *spec, const char *value, const SpecCheck *check) {
        if (*value && spec_is_nanos(spec) && !check->limits->form_only)
                spec_problem(check, "is not known to a guest of Target '" TARGET_NANOS "'; leave it out");
}

/* Bytes as the guest receives them, with a NUL each. */
static size_t strings_bytes(char **strings) {
        size_t n = 0;

        for (char **s = strings; *s; s++)
                n += strlen(*s) + 1;
        return n;
}

static void check_strings(char **strings, const SpecCheck *check) {
        guint n = g_strv_length(strings);

        if (n > SPEC_STRINGS_MAX)
                spec_problem(check, "has %u elements, at most %u are accepted", n, SPEC_STRINGS_MAX);
        for (guint i = 0; i < n; i++)
                if (strlen(strings[i]) > SPEC_STRING_BYTES_MAX)
                        spec_problem(check, "element %u has %zu bytes, at most %u are accepted", i, strlen(strings[i]),
                                SPEC_STRING_BYTES_MAX);
}

void spec_check_command(const VMSpec *spec, const SpecCheck *check) {
        check_strings(spec->command, check);
        if (*spec->root_directory && !check->limits->form_only && (!spec->command[0] || !*spec->command[0]))
                spec_problem(check, "is required with RootDirectory, which names no program of its own");
}

static bool is_assignment(const char *s) {
        size_t n = strspn(s, LOWER UPPER DIGITS "_");

        return n > 0 && s[n] == '=' && !g_ascii_isdigit(s[0]);
}

void spec_check_environment(const VMSpec *spec, const SpecCheck *check) {
        size_t bytes = strings_bytes(spec->command) + strings_bytes(spec->environment);

        check_strings(spec->environment, check);
        for (char **s = spec->environment; *s; s++)
                if (!is_assignment(*s)) {
                        /* What follows the name may be a secret. */
                        g_autofree char *name = g_strndup(*s, strcspn(*s, "="));

                        problem_value(check, name, "the name of a KEY=VALUE, with a KEY of [A-Za-z_][A-Za-z0-9_]*");
                }
        if (bytes > SPEC_BYTES_MAX)
                spec_problem(
                        check, "has %zu bytes together with Command, at most %u are accepted", bytes, SPEC_BYTES_MAX);
}

static bool is_user_part(const char *s, size_t n) {
        return n >= 1 && n <= USER_PART_MAX && strspn(s, LOWER UPPER DIGITS "_.-") >= n && s[0] != '-';
}

void spec_check_user(const VMSpec *spec, const SpecCheck *check) {
        const char *user = spec->user;
        size_t n = strcspn(user, ":");

        if (user[0] == '\0')
                return;
        spec_check_for_linux(spec, user, check);
        if (!is_user_part(user, n) || (user[n] == ':' && !is_user_part(user + n + 1, strlen(user + n + 1))))
                problem_value(check, user, "USER[:GROUP], names or numbers of at most 64 of [A-Za-z0-9_.-] each");
}

static bool is_hostname(const char *s) {
        if (strlen(s) > HOSTNAME_MAX)
                return false;
        for (;;) {
                size_t n = strspn(s, LOWER UPPER DIGITS "-");

                if (n < 1 || n > HOST_LABEL_MAX || s[0] == '-' || s[n - 1] == '-')
                        return false;
                if (s[n] == '\0')
                        return true;
                if (s[n] != '.')
                        return false;
                s += n + 1;
        }
}

void spec_check_hostname(const VMSpec *spec, const SpecCheck *check) {
        spec_check_for_linux(spec, spec->hostname, check);
        if (spec->hostname[0] != '\0' && !is_hostname(spec->hostname))
                problem_value(check, spec->hostname,
                        "a host name: at most 64 characters, labels of letters, digits and inner dashes between dots");
}

void spec_check_working_directory(const VMSpec *spec, const SpecCheck *check) {
        const char *s = spec->working_directory;

        spec_check_for_linux(spec, s, check);
        if (s[0] != '\0' && (s[0] != '/' || strlen(s) > PATH_BYTES_MAX || has_control(s)))
                problem_value(check, s, "an absolute path of at most 4095 bytes without control characters");
}

void spec_check_memory(const VMSpec *spec, const SpecCheck *check) {
        uint32_t min = spec_is_nanos(spec) ? SPEC_NANOS_MEMORY_MIN : SPEC_MEMORY_MIN;
        uint32_t max = check->limits->memory_mib_max;

        if (!check->limits->form_only && (spec->memory_mib < min || spec->memory_mib > max))
                spec_problem(check, "%u is not between %u and %u", spec->memory_mib, min, max);
}

void spec_check_vcpus(const VMSpec *spec, const SpecCheck *check) {
        uint32_t max = check->limits->vcpus_max;

        if (!check->limits->form_only && (spec->vcpus < VCPUS_MIN || spec->vcpus > max))
                spec_problem(check, "%u is not between %u and %u", spec->vcpus, VCPUS_MIN, max);
}

bool network_is_bridge(const char *network) {
        return !g_str_equal(network, NETWORK_USER) && !g_str_equal(network, NETWORK_NONE);
}

void spec_check_network(const VMSpec *spec, const SpecCheck *check) {
        if (network_is_bridge(spec->network) && !network_name_is_valid(spec->network))
                problem_value(check, spec->network, "'" NETWORK_USER "', '" NETWORK_NONE "' or the name of a network");
}

void spec_check_address(const VMSpec *spec, const SpecCheck *check) {
        uint32_t address;

        if (!*spec->address)
                return;
        if (!network_is_bridge(spec->network))
                spec_problem(check, "can be wished only on a network, not with Network '%s'", spec->network);
        else if (ipv4_parse(spec->address, &address) < 0)
                problem_value(check, spec->address, "an IPv4 address");
}

static bool is_address(const char *s) {
        struct in6_addr unused; /* room for either family */

        return inet_pton(AF_INET, s, &unused) == 1 || inet_pton(AF_INET6, s, &unused) == 1;
}

void spec_check_dns(const VMSpec *spec, const SpecCheck *check) {
        guint n = g_strv_length(spec->dns);

        spec_check_for_linux(spec, n > 0 ? spec->dns[0] : "", check);
        if (n > SPEC_DNS_MAX)
                spec_problem(check, "has %u elements, at most %u are accepted", n, SPEC_DNS_MAX);
        for (char **s = spec->dns; *s; s++)
                if (!is_address(*s))
                        problem_value(check, *s, "an IPv4 or IPv6 address");
}

/* The first of the earlier forwards that stands in the way of number i. passt keeps one guest port for each port of the
 * host, whatever the address ("Overlapping port specifier"): within a VM, two addresses are in each other's way, too.
 */
static const PortForward *find_conflict(const VMSpec *spec, size_t i) {
        for (size_t j = 0; j < i; j++)
                if (spec->ports[j].protocol == spec->ports[i].protocol && spec->ports[j].host == spec->ports[i].host &&
                        spec->ports[j].host != 0)
                        return &spec->ports[j];
        return NULL;
}

/* passt answers datagrams of a guest's port from one port of the host, the last that was named. */
static const PortForward *find_same_udp(const VMSpec *spec, size_t i) {
        for (size_t j = 0; j < i && spec->ports[i].protocol == PORT_UDP; j++)
                if (spec->ports[j].protocol == PORT_UDP && spec->ports[j].guest == spec->ports[i].guest)
                        return &spec->ports[j];
        return NULL;
}

static void say_conflict(const SpecCheck *check, const PortForward *one, const PortForward *two, const char *what) {
        g_autofree char *a = port_forward_to_string(one), *b = port_forward_to_string(two);

        spec_problem(check, "'%s' and '%s' take the same %s, a VM may take each once", a, b, what);
}

/* On a bridge a VM has its own address, so there is no host's port to take. */
static void check_bare_ports(const VMSpec *spec, const SpecCheck *check) {
        for (size_t i = 0; i < spec->n_ports; i++)
                if (!spec->ports[i].bare) {
                        g_autofree char *text = port_forward_to_string(&spec->ports[i]);

                        spec_problem(check, "'%s': on network '%s' only the guest's port is given, as in '%u/%s'", text,
                                spec->network, spec->ports[i].guest, port_protocol_to_string(spec->ports[i].protocol));
                }
}

void spec_check_ports(const VMSpec *spec, const SpecCheck *check) {
        if (network_is_bridge(spec->network)) {
                check_bare_ports(spec, check);
                return;
        }
        if (spec->n_ports > 0 && g_str_equal(spec->network, NETWORK_NONE))
                spec_problem(
                        check, "cannot be published with Network '" NETWORK_NONE "', only with '" NETWORK_USER "'");
        for (size_t i = 0; i < spec->n_ports; i++) {
                const PortForward *other = find_conflict(spec, i), *udp = find_same_udp(spec, i);

                if (other)
                        say_conflict(check, other, &spec->ports[i], "port of the host");
                else if (udp)
                        say_conflict(check, udp, &spec->ports[i], "UDP port of the guest");
        }
}

/* One directory name below /lib/modules. */
void spec_check_kernel(const VMSpec *spec, const SpecCheck *check) {
        const char *s = spec->kernel;
        size_t n = strlen(s);

        spec_check_for_linux(spec, s, check);
        if (n > 0 && (n > KERNEL_VERSION_MAX || strspn(s, LOWER UPPER DIGITS "._+~-") != n || !g_ascii_isalnum(s[0])))
                problem_value(check, s, "a kernel version as in /lib/modules, such as '6.1.0-18-cloud-amd64'");
}

void spec_check_architecture(const VMSpec *spec, const SpecCheck *check) {
        const char *s = spec->architecture;
        const char *const host[] = {check->limits->architecture, NULL};
        const char *const *known = check->limits->architectures ?: host;
        size_t n = strlen(s);

        if (!check->limits->form_only && spec_is_nanos(spec) && !g_str_equal(s, "x86_64"))
                spec_problem(check, "a guest of Target '" TARGET_NANOS "' runs on x86_64 only");
        if (check->limits->form_only) {
                if (n < 1 || n > 32 || strspn(s, LOWER DIGITS "_") != n)
                        problem_value(check, s, "an architecture such as 'x86_64'");
        } else if (!g_strv_contains(known, s)) {
                g_autofree char *quoted = problem_quote(s), *list = g_strjoinv(", ", (char **) known);

                spec_problem(check, "%s is none of %s; the first is this host's, others are emulated", quoted, list);
        }
}

void spec_check_profile(const VMSpec *spec, const SpecCheck *check) {
        static const char *const none[] = {NULL};
        const char *const *known = check->limits->profiles ?: none;
        const char *s = spec->profile;

        if (*s == '\0' || check->limits->form_only || g_strv_contains(known, s))
                return;

        g_autofree char *quoted = problem_quote(s), *list = g_strjoinv(", ", (char **) known);

        spec_problem(check, "%s is none of %s", quoted, list);
}

void spec_check_restart(const VMSpec *spec, const SpecCheck *check) {
        RestartPolicy policy;

        if (restart_policy_parse(spec->restart, &policy) < 0) {
                g_autofree char *quoted = problem_quote(spec->restart);

                spec_problem(check, "%s: " RESTART_ACCEPTED, quoted);
        }
}

void spec_check_stop_timeout(const VMSpec *spec, const SpecCheck *check) {
        if (spec->stop_timeout > SPEC_STOP_TIMEOUT_MAX)
                spec_problem(check, "%" G_GUINT64_FORMAT " is not between 0 and %llu microseconds", spec->stop_timeout,
                        SPEC_STOP_TIMEOUT_MAX);
}

static bool is_label_key(const char *s) {
        size_t n = strlen(s);

        return n >= 1 && n <= LABEL_KEY_MAX && strspn(s, LOWER UPPER DIGITS "._/-") == n && g_ascii_isalnum(s[0]);
}

void spec_check_labels(const VMSpec *spec, const SpecCheck *check) {
        guint n = spec->labels ? g_hash_table_size(spec->labels) : 0;
        size_t bytes = 0;
        GHashTableIter iter;
        gpointer key, value;

        if (n == 0)
                return;
        if (n > SPEC_LABELS_MAX)
                spec_problem(check, "has %u entries, at most %u are accepted", n, SPEC_LABELS_MAX);
        g_hash_table_iter_init(&iter, spec->labels);
        while (g_hash_table_iter_next(&iter, &key, &value)) {
                bytes += strlen(key) + strlen(value);
                if (!is_label_key(key))
                        problem_value(
                                check, key, "a label's key: a letter or digit, then up to 127 of [A-Za-z0-9._/-]");
                if (has_control(value))
                        problem_value(check, value, "a label's value: text without control characters");
        }
        if (bytes > SPEC_LABEL_BYTES_MAX)
                spec_problem(check, "has %zu bytes in all, at most %u are accepted", bytes, SPEC_LABEL_BYTES_MAX);
}

static void probe_problem(const char *text, void *userdata) {
        spec_problem(userdata, "%s", text);
}

static void check_probe(const VMSpec *spec, const Probe *probe, bool health, const SpecCheck *check) {
        ProbeMeans means = !spec_is_nanos(spec)                       ? PROBE_BY_INIT
                           : g_str_equal(spec->network, NETWORK_USER) ? PROBE_BY_FRAMES
                                                                      : PROBE_BY_NOBODY;

        probe_check(probe, health, means, probe_problem, (void *) check);
}

void spec_check_ready(const VMSpec *spec, const SpecCheck *check) {
        check_probe(spec, &spec->ready, false, check);
}

void spec_check_health(const VMSpec *spec, const SpecCheck *check) {
        check_probe(spec, &spec->health, true, check);
}
