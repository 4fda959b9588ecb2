/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the members of Limits and their bounds. */
#include "model/vm-limits.h"

#include <inttypes.h>

#include "model/problem.h"

const LimitName limit_names[LIMITS_MAX] = {
        [LIMIT_CPU_WEIGHT] = {"CPUWeight", "CPUWeight"},
        [LIMIT_CPU_QUOTA] = {"CPUQuotaPerSec", "CPUQuotaPerSecUSec"},
        [LIMIT_MEMORY] = {"MemoryMax", "MemoryMax"},
        [LIMIT_IO_WEIGHT] = {"IOWeight", "IOWeight"},
};

static const struct {
        uint64_t min, max;
        const char *unit;
} bounds[LIMITS_MAX] = {
        [LIMIT_CPU_WEIGHT] = {1, LIMIT_WEIGHT_MAX, ""},
        [LIMIT_CPU_QUOTA] = {LIMIT_CPU_QUOTA_MIN, LIMIT_CPU_QUOTA_MAX, " microseconds a second"},
        [LIMIT_MEMORY] = {LIMIT_MEMORY_MIN, LIMIT_MEMORY_MAX, " bytes"},
        [LIMIT_IO_WEIGHT] = {1, LIMIT_WEIGHT_MAX, ""},
};

static int find(const char *name) {
        for (int i = 0; i < LIMITS_MAX; i++)
                if (g_str_equal(limit_names[i].name, name))
                        return i;
        return -1;
}

/* The problem with one member; NULL: it is fine. */
static char *check(const char *name, json_t *value) {
        int i = find(name);
        json_int_t v = json_integer_value(value);
        g_autofree char *quoted = problem_quote(name);

        if (i < 0)
                return g_strdup_printf(
                        "unknown key %s; known are CPUWeight, CPUQuotaPerSec, MemoryMax, IOWeight", quoted);
        if (!json_is_integer(value))
                return g_strdup_printf("%s: expected a number", name);
        if (v == 0 || (v > 0 && (uint64_t) v >= bounds[i].min && (uint64_t) v <= bounds[i].max))
                return NULL;
        return g_strdup_printf("%s: %" JSON_INTEGER_FORMAT " is not between %" PRIu64 " and %" PRIu64
                               "%s, or 0 for none",
                name, v, bounds[i].min, bounds[i].max, bounds[i].unit);
}

bool limits_parse(json_t *object, VMLimits *ret, LimitProblem problem, void *userdata) {
        VMLimits limits = {};
        const char *name;
        json_t *value;

        if (!json_is_object(object))
                return false;
        json_object_foreach(object, name, value) {
                g_autofree char *text = check(name, value);

                if (!text)
                        limits.value[find(name)] = (uint64_t) json_integer_value(value);
                else if (problem)
                        problem(text, userdata);
        }
        *ret = limits;
        return true;
}

json_t *limits_to_json(const VMLimits *limits) {
        json_t *o = json_object();

        for (int i = 0; i < LIMITS_MAX; i++)
                if (limits->value[i] > 0)
                        json_object_set_new(o, limit_names[i].name, json_integer((json_int_t) limits->value[i]));
        return o;
}

bool limits_are_above_default(const VMLimits *limits) {
        return limits->value[LIMIT_CPU_WEIGHT] > LIMIT_WEIGHT_DEFAULT ||
               limits->value[LIMIT_IO_WEIGHT] > LIMIT_WEIGHT_DEFAULT;
}

bool limits_are_set(const VMLimits *limits) {
        for (int i = 0; i < LIMITS_MAX; i++)
                if (limits->value[i] > 0)
                        return true;
        return false;
}
