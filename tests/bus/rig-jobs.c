/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What tests ask of jobs, and of the helpers that work for them. */
#include "rig.h"

#include <sys/stat.h>

unsigned job_of(sd_bus_message *reply) {
        uint32_t id;

        assert_good(reply);
        assert_true(sd_bus_message_read(reply, "u", &id) > 0);
        return id;
}

sd_bus_message *wait_job(Rig *r, unsigned id) {
        g_autofree char *path = g_strdup_printf(ROOT "/job/%u", id);

        return rig_call(r, path, JOB, "Wait", NULL);
}

void assert_end(sd_bus_message *end, const char *result, const char *error, const char *text) {
        const char *a = "", *b = "", *c = "";

        assert_good(end);
        assert_true(sd_bus_message_read(end, "sss", &a, &b, &c) > 0);
        if (strcmp(a, result) != 0 || strcmp(b, error) != 0 || !strstr(c, text))
                fail_msg("%s %s: %s", a, b, c);
        if (*b && !*c)
                fail_msg("%s says nothing", b);
}

void assert_job(Rig *r, unsigned id, const char *result, const char *error, const char *text) {
        g_autoptr(sd_bus_message) end = wait_job(r, id);

        assert_end(end, result, error, text);
}

void assert_job_tidy(Rig *r, unsigned id, const char *result, const char *error, const char *text) {
        assert_job(r, id, result, error, text);
        rig_settle(r);
        until(r, rig_count_temporaries(r) == 0); /* versions of QEMU are asked for and kept meanwhile */
}

static bool does(const FakeHelper *h, const char *op) {
        return h->launch && g_strcmp0(json_string_value(json_object_get(h->launch, "op")), op) == 0;
}

FakeHelper *fake_find_op(Rig *r, const char *op) {
        for (guint i = r->helpers->len; i > 0; i--) {
                FakeHelper *h = r->helpers->pdata[i - 1];

                if (does(h, op))
                        return h;
        }
        return NULL;
}

unsigned fake_count_op(Rig *r, const char *op) {
        unsigned n = 0;

        for (guint i = 0; i < r->helpers->len; i++)
                n += does(r->helpers->pdata[i], op);
        return n;
}

void rig_write_ops(Rig *r, const char *more) {
        g_autofree char *ops = rig_path(r, "ops/ops"), *old = rig_read(r, "runtime.conf"), *conf = NULL;

        rig_write(r, "ops/.ops/latest.txt", "0.1.55\n");
        rig_write(r, "ops/ops", "");
        assert_int_equal(chmod(ops, 0755), 0);
        conf = g_strdup_printf("%sOps=%s\nOpsHome=%s/ops\n%s", old, ops, r->dir, more);
        rig_write(r, "runtime.conf", conf);
}
