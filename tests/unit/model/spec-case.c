/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Specs for tests, from JSON in simple quotes, and what is wrong with them. */
#include "spec-case.h"

#include <errno.h>

const SpecLimits limits = {
        .memory_mib_default = 256,
        .memory_mib_max = 24105,
        .vcpus_default = 1,
        .vcpus_max = 8,
        .stop_timeout_default = 10000000,
        .default_network = "user",
        .architecture = "x86_64",
        .volume_roots = (const char *const[]){"/srv", "/data/", NULL},
};

GPtrArray *problems_new(void) {
        return g_ptr_array_new_with_free_func((GDestroyNotify) problem_free);
}

int parse_object(json_t *object, const SpecLimits *l, GPtrArray *problems, VMSpec **ret) {
        int r = vm_spec_parse(object, l, problems, ret);

        json_decref(object);
        return r;
}

/* Members of the object in simple quotes, beside an image. */
json_t *object_of(const char *members) {
        g_autofree char *text = g_strdup_printf("{'Image': 'web'%s%s}", members[0] ? ", " : "", members);
        json_error_t error;

        for (char *p = text; *p; p++)
                if (*p == '\'')
                        *p = '"';

        json_t *o = json_loads(text, 0, &error);

        if (!o)
                fail_msg("%s: %s", text, error.text);
        return o;
}

VMSpec *good(const char *members) {
        g_autoptr(GPtrArray) problems = problems_new();
        VMSpec *spec = NULL;

        if (parse_object(object_of(members), &limits, problems, &spec) < 0)
                fail_msg("%s: %s", members, ((Problem *) problems->pdata[0])->text);
        assert_int_equal(problems->len, 0);
        return spec;
}

void assert_good(const char *members) {
        vm_spec_free(good(members));
}

/* Exactly one problem, with exactly this text. */
void assert_problem_object(json_t *object, const char *key, const char *expected) {
        g_autoptr(GPtrArray) problems = problems_new();
        VMSpec *spec = NULL;

        assert_int_equal(parse_object(object, &limits, problems, &spec), -EINVAL);
        assert_null(spec);
        assert_int_equal(problems->len, 1);

        const Problem *p = problems->pdata[0];

        assert_string_equal(p->error, "InvalidSpec");
        assert_string_equal(p->key, key);
        assert_string_equal(p->text, expected);
        assert_true(g_utf8_validate(p->text, -1, NULL));
}

void assert_problem(const char *members, const char *key, const char *expected) {
        assert_problem_object(object_of(members), key, expected);
}
