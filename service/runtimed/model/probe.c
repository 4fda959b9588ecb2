/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the members of Ready and Health: their types, bounds and defaults, and the sentences that say so. */
#include "model/probe.h"

#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include "model/problem.h"
#include "shared/pattern.h"

#define SECOND (1000000ULL)

static const char *const kinds[PROBE_KIND_MAX] = {
        [PROBE_NONE] = "",
        [PROBE_MESSAGE] = "message",
        [PROBE_CONSOLE] = "console",
        [PROBE_TCP] = "tcp",
        [PROBE_HTTP] = "http",
};

const char *probe_kind_to_string(ProbeKind k) {
        return k >= 0 && k < PROBE_KIND_MAX ? kinds[k] : NULL;
}

ProbeKind probe_kind_from_string(const char *s) {
        for (ProbeKind k = PROBE_NONE; k < PROBE_KIND_MAX; k++)
                if (g_str_equal(kinds[k], s))
                        return k;
        return PROBE_KIND_INVALID;
}

enum { KIND, PATTERN, PORT, PATH, START_PERIOD, INTERVAL, TIMEOUT, RETRIES, MEMBERS };

static const struct {
        const char *name;
        char type; /* s, u (also of q), t */
        size_t offset;
        unsigned kinds; /* bits of those that have it */
        bool of_ready;
} members[MEMBERS] = {
        [KIND] = {"Kind", 's', offsetof(Probe, kind), ~0U, true},
        [PATTERN] = {"Pattern", 's', offsetof(Probe, pattern), 1U << PROBE_CONSOLE, true},
        [PORT] = {"Port", 'u', offsetof(Probe, port), 1U << PROBE_TCP | 1U << PROBE_HTTP, true},
        [PATH] = {"Path", 's', offsetof(Probe, path), 1U << PROBE_HTTP, true},
        [START_PERIOD] = {"StartPeriod", 't', offsetof(Probe, start_period), ~0U, true},
        [INTERVAL] = {"Interval", 't', offsetof(Probe, interval), ~0U, true},
        [TIMEOUT] = {"Timeout", 't', offsetof(Probe, timeout), ~0U, true},
        [RETRIES] = {"Retries", 'u', offsetof(Probe, retries), ~0U, false},
};

void probe_init_ready(Probe *p) {
        *p = (Probe){.start_period = 60 * SECOND, .interval = SECOND, .timeout = SECOND};
        p->pattern = g_strdup("");
        p->path = g_strdup("/");
}

void probe_init_health(Probe *p) {
        *p = (Probe){.interval = 10 * SECOND, .timeout = 5 * SECOND, .retries = 3};
        p->pattern = g_strdup("");
        p->path = g_strdup("/");
}

void probe_clear(Probe *p) {
        g_clear_pointer(&p->pattern, g_free);
        g_clear_pointer(&p->path, g_free);
}

static void say(ProbeProblem problem, void *userdata, const char *format, ...) G_GNUC_PRINTF(3, 4);
static void say(ProbeProblem problem, void *userdata, const char *format, ...) {
        g_autofree char *text = NULL;
        va_list ap;

        va_start(ap, format);
        text = g_strdup_vprintf(format, ap);
        va_end(ap);
        if (problem)
                problem(text, userdata);
}

static void *field_of(const Probe *p, int i) {
        return (char *) p + members[i].offset;
}

static bool parse_kind(json_t *value, Probe *p, ProbeProblem problem, void *userdata) {
        ProbeKind kind = probe_kind_from_string(json_string_value(value));
        g_autofree char *quoted = problem_quote(json_string_value(value));

        if (kind <= PROBE_NONE) {
                say(problem, userdata, "Kind: %s is not " PROBE_KINDS, quoted);
                return false;
        }
        p->kind = kind;
        return true;
}

/* False after a problem. */
static bool parse_member(json_t *value, int i, Probe *p, ProbeProblem problem, void *userdata) {
        json_int_t v = json_integer_value(value);

        if (members[i].type == 's' ? !json_is_string(value) : !json_is_integer(value)) {
                say(problem, userdata, "%s: expected a %s", members[i].name,
                        members[i].type == 's' ? "string" : "number");
                return false;
        }
        if (i == KIND)
                return parse_kind(value, p, problem, userdata);
        if (members[i].type == 's') {
                g_free(*(char **) field_of(p, i));
                *(char **) field_of(p, i) = g_strdup(json_string_value(value));
        } else if (members[i].type == 't')
                *(uint64_t *) field_of(p, i) = v < 0 ? UINT64_MAX : (uint64_t) v;
        else
                *(uint32_t *) field_of(p, i) = v < 0 || v > UINT32_MAX ? UINT32_MAX : (uint32_t) v;
        return true;
}

static int find_member(const char *name) {
        for (int i = 0; i < MEMBERS; i++)
                if (g_str_equal(members[i].name, name))
                        return i;
        return -1;
}

bool probe_parse(json_t *object, Probe *p, ProbeProblem problem, void *userdata) {
        const char *name;
        json_t *value;

        if (!json_is_object(object))
                return false;
        p->kind = PROBE_NONE;
        p->given = 0;
        json_object_foreach(object, name, value) {
                int i = find_member(name);
                g_autofree char *quoted = problem_quote(name);

                if (i < 0)
                        say(problem, userdata,
                                "unknown key %s; known are Kind, Pattern, Port, Path, StartPeriod, Interval, Timeout, "
                                "Retries",
                                quoted);
                else if (parse_member(value, i, p, problem, userdata))
                        p->given |= 1U << i;
        }
        return true;
}

static bool member_applies(int i, const Probe *p) {
        return members[i].kinds & 1U << p->kind;
}

json_t *probe_to_json(const Probe *p) {
        json_t *o = json_object();

        for (int i = 0; p->kind != PROBE_NONE && i < MEMBERS; i++) {
                if (!member_applies(i, p) || (i == RETRIES && p->retries == 0))
                        continue;
                if (i == KIND)
                        json_object_set_new(o, members[i].name, json_string(kinds[p->kind]));
                else if (members[i].type == 's')
                        json_object_set_new(o, members[i].name, json_string(*(char **) field_of(p, i)));
                else if (members[i].type == 't')
                        json_object_set_new(
                                o, members[i].name, json_integer((json_int_t) * (uint64_t *) field_of(p, i)));
                else
                        json_object_set_new(o, members[i].name, json_integer(*(uint32_t *) field_of(p, i)));
        }
        return o;
}

static bool path_is_valid(const char *s) {
        size_t n = strlen(s);

        for (const char *c = s; *c; c++)
                if (*c <= ' ' || *c > '~')
                        return false;
        return s[0] == '/' && n <= PROBE_PATH_MAX;
}

static void check_range(const char *name, uint64_t v, uint64_t min, uint64_t max, const char *unit,
        ProbeProblem problem, void *userdata) {
        if (v < min || v > max)
                say(problem, userdata,
                        "%s: %" G_GUINT64_FORMAT " is not between %" G_GUINT64_FORMAT " and %" G_GUINT64_FORMAT "%s",
                        name, v, min, max, unit);
}

static void check_what(const Probe *p, ProbeProblem problem, void *userdata) {
        struct pattern unused;

        if (p->kind == PROBE_CONSOLE && !pattern_compile(p->pattern, &unused)) {
                g_autofree char *quoted = problem_quote(p->pattern);

                say(problem, userdata, "Pattern: %s is not " PATTERN_ACCEPTED, quoted);
        }
        if (p->kind == PROBE_TCP || p->kind == PROBE_HTTP)
                check_range("Port", p->port, 1, UINT16_MAX, "", problem, userdata);
        if (p->kind == PROBE_HTTP && !path_is_valid(p->path)) {
                g_autofree char *quoted = problem_quote(p->path);

                say(problem, userdata,
                        "Path: %s is not an absolute path of at most %u printable ASCII characters, no blank among "
                        "them",
                        quoted, PROBE_PATH_MAX);
        }
}

/* False after a problem. */
static bool check_means(const Probe *p, ProbeMeans means, ProbeProblem problem, void *userdata) {
        if (!probe_kind_is_inside(p->kind) || means == PROBE_BY_INIT)
                return true;
        if (p->kind == PROBE_MESSAGE)
                say(problem, userdata,
                        "Kind: '%s' is taken by the guest's init, which a nanos guest has not; use 'console', or with "
                        "Network 'user' also 'tcp' or 'http'",
                        kinds[p->kind]);
        else if (means == PROBE_BY_NOBODY)
                say(problem, userdata,
                        "Kind: '%s': tcp and http probes of a nanos guest need Network 'user'; use 'console'",
                        kinds[p->kind]);
        else
                return true;
        return false;
}

void probe_check(const Probe *p, bool health, ProbeMeans means, ProbeProblem problem, void *userdata) {
        if (p->kind == PROBE_NONE) {
                if (p->given != 0)
                        say(problem, userdata, "Kind: is required: " PROBE_KINDS);
                return;
        }
        if (!check_means(p, means, problem, userdata))
                return;
        for (int i = 0; i < MEMBERS; i++)
                if (p->given & 1U << i && !member_applies(i, p))
                        say(problem, userdata, "%s: Kind '%s' has none", members[i].name, kinds[p->kind]);
                else if (p->given & 1U << i && !health && !members[i].of_ready)
                        say(problem, userdata, "%s: only Health has it", members[i].name);
        check_what(p, problem, userdata);
        check_range("StartPeriod", p->start_period, 0, PROBE_PERIOD_MAX, " microseconds", problem, userdata);
        check_range("Interval", p->interval, PROBE_TIME_MIN, PROBE_PERIOD_MAX, " microseconds", problem, userdata);
        check_range("Timeout", p->timeout, PROBE_TIME_MIN, PROBE_TIMEOUT_MAX, " microseconds", problem, userdata);
        if (health)
                check_range("Retries", p->retries, 1, PROBE_RETRIES_MAX, "", problem, userdata);
}

char *probe_to_guest(const Probe *p) {
        if (!probe_kind_is_inside(p->kind))
                return NULL;
        return g_strdup_printf("%s %u %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT "%s%s", kinds[p->kind], p->port,
                p->interval, p->timeout, p->kind == PROBE_HTTP ? " " : "", p->kind == PROBE_HTTP ? p->path : "");
}
