/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plays systemd's manager: starts and stops of units as told, and who a connection belongs to. */
#include "rig.h"

#include <inttypes.h>

#define SYSTEMD "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"

static const struct {
        const char *unit, *user;
} kinds[KIND_MAX] = {
        [KIND_VM] = {"mcp-vm@", "mcp-vm-"},
        [KIND_WORKER] = {"mcp-image@", "mcp-image-"},
        [KIND_PASST] = {"mcp-passt@", "mcp-pt-"},
        [KIND_PROBE] = {"mcp-kvm-probe@", "mcp-kvm-"},
        [KIND_FETCH] = {"mcp-fetch@", "mcp-fetch-"},
        [KIND_TPM] = {"mcp-tpm@", "mcp-tp-"},
};

HelperKind kind_of_unit(const char *unit) {
        HelperKind k = KIND_VM;

        while (k < KIND_MAX && !(g_str_has_prefix(unit, kinds[k].unit) && g_str_has_suffix(unit, ".service")))
                k++;
        return k;
}

char *user_of_unit(const char *unit) {
        HelperKind k = kind_of_unit(unit);
        const char *instance;

        if (k == KIND_MAX)
                return g_strdup(unit); /* some other user */
        instance = unit + strlen(kinds[k].unit);
        return g_strdup_printf("%s%.*s", kinds[k].user, (int) (strlen(instance) - strlen(".service")), instance);
}

int unit_runs(Rig *r, const char *unit) {
        g_auto(GStrv) words = g_strsplit(r->units->str, " ", -1);
        int n = 0;

        for (char **w = words; *w; w++)
                if (**w && strcmp(*w + 1, unit) == 0)
                        n = **w == '+' ? n + 1 : 0;
        return n;
}

static void job_removed(Rig *r, uint32_t id, const char *job, const char *unit, const char *result) {
        assert_true(sd_bus_emit_signal(r->systemd, SYSTEMD_PATH, SYSTEMD ".Manager", "JobRemoved", "uoss", id, job,
                            unit, result) >= 0);
}

static int reply_job(Rig *r, sd_bus_message *m, const char *unit, const char *result, bool early) {
        g_autofree char *job = g_strdup_printf(SYSTEMD_PATH "/job/%u", ++r->last_job);

        if (early)
                job_removed(r, r->last_job, job, unit, result);
        assert_true(sd_bus_reply_method_return(m, "o", job) >= 0);
        if (!early)
                job_removed(r, r->last_job, job, unit, result);
        return 1;
}

/* All helpers have the uid of the test, and the daemon lets few of one uid wait to be identified: the others connect later. */
#define UNIDENTIFIED_MAX 2U

static void connect_waiting(Rig *r) {
        while (g_queue_get_length(&r->identities) < UNIDENTIFIED_MAX && !g_queue_is_empty(&r->waiting)) {
                g_autofree char *unit = g_queue_pop_head(&r->waiting);

                (void) fake_connect(r, unit, NULL);
        }
}

static void forget_waiting(Rig *r, const char *unit) {
        GList *found;

        while ((found = g_queue_find_custom(&r->waiting, unit, (GCompareFunc) strcmp))) {
                g_free(found->data);
                g_queue_delete_link(&r->waiting, found);
        }
}

static int on_start(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Rig *r = userdata;
        const char *unit, *mode;
        HelperKind k;

        if (sd_bus_message_read(m, "ss", &unit, &mode) < 0)
                return -EINVAL;
        k = kind_of_unit(unit);
        if (k == KIND_MAX) {
                g_string_append_printf(r->alien, "a foreign unit was started: %s\n", unit);
                return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED, "no");
        }
        g_string_append_printf(r->units, "+%s ", unit);
        switch (r->start[k]) {
        case START_HANGS:
                return 1;
        case START_REFUSED:
                return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED, "polkit says no");
        case START_FAILS:
                return reply_job(r, m, unit, "failed", false);
        case START_CANCELED:
                return reply_job(r, m, unit, "canceled", false);
        case START_OK:
        case START_EARLY:
                forget_waiting(r, unit);
                g_queue_push_tail(&r->waiting, g_strdup(unit));
                connect_waiting(r);
                return reply_job(r, m, unit, "done", r->start[k] == START_EARLY);
        default:
                return reply_job(r, m, unit, "done", false);
        }
}

static int on_stop(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Rig *r = userdata;
        const char *unit, *mode;
        FakeHelper *h;

        if (sd_bus_message_read(m, "ss", &unit, &mode) < 0)
                return -EINVAL;
        if (kind_of_unit(unit) == KIND_MAX)
                g_string_append_printf(r->alien, "a foreign unit was stopped: %s\n", unit);
        if (r->first_stop == 0)
                (void) sd_bus_message_get_cookie(m, &r->first_stop);
        if (!strstr(r->units->str, unit))
                return sd_bus_error_setf(error, SYSTEMD ".NoSuchUnit", "Unit %s not loaded.", unit);
        g_string_append_printf(r->units, "-%s ", unit);
        forget_waiting(r, unit);
        h = fake_find(r, unit);
        if (h)
                fake_close(h);
        if (r->slow_stop) {
                g_autofree char *job = g_strdup_printf(SYSTEMD_PATH "/job/%u", r->slow_stop);

                return sd_bus_reply_method_return(m, "o", job);
        }
        return reply_job(r, m, unit, "done", false);
}

void fake_stop_ends(Rig *r, const char *unit) {
        g_autofree char *job = g_strdup_printf(SYSTEMD_PATH "/job/%u", r->slow_stop);

        job_removed(r, r->slow_stop, job, unit, "done");
        r->slow_stop = 0;
}

static int on_lookup(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Rig *r = userdata;
        g_autofree char *user = g_queue_pop_head(&r->identities);

        connect_waiting(r);
        if (!user)
                return sd_bus_error_set(error, SYSTEMD ".NoSuchDynamicUser", "Dynamic user ID does not exist.");
        return sd_bus_reply_method_return(m, "s", user);
}

/* Noted as "=UNIT NAME=VALUE NAME=VALUE ". */
static int on_set_properties(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Rig *r = userdata;
        const char *unit, *name;
        uint64_t value;
        int runtime, q;

        if (sd_bus_message_read(m, "sb", &unit, &runtime) < 0)
                return -EINVAL;
        if (kind_of_unit(unit) != KIND_VM || !runtime)
                g_string_append_printf(r->alien, "properties of %s were set\n", unit);
        g_string_append_printf(r->units, "=%s ", unit);
        q = sd_bus_message_enter_container(m, 'a', "(sv)");
        while (q >= 0 && (q = sd_bus_message_read(m, "(sv)", &name, "t", &value)) > 0)
                g_string_append_printf(r->units, "%s=%" PRIu64 " ", name, value);
        if (q < 0)
                return q;
        if (r->start[KIND_VM] == START_REFUSED)
                return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED, "polkit says no");
        return sd_bus_reply_method_return(m, NULL);
}

static int append_unit(sd_bus_message *m, const char *unit, const char *state) {
        return sd_bus_message_append(m, "(ssssssouso)", unit, "", "loaded", state, "", "", SYSTEMD_PATH "/unit/u", 0, "", "/");
}

/* Of one unit, what it is; of many, none. */
static int on_list(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *reply = NULL;
        Rig *r = userdata;
        const char *unit;

        if (!r->lists)
                return sd_bus_error_set(error, SD_BUS_ERROR_UNKNOWN_METHOD, "no");
        assert_true(sd_bus_message_skip(m, "as") >= 0);
        assert_true(sd_bus_message_enter_container(m, 'a', "s") >= 0);
        assert_true(sd_bus_message_read(m, "s", &unit) > 0);
        assert_true(sd_bus_message_new_method_return(m, &reply) >= 0);
        assert_true(sd_bus_message_open_container(reply, 'a', "(ssssssouso)") >= 0);
        if (!strchr(unit, '*')) {
                r->listings++;
                if (r->slow_stop || unit_runs(r, unit))
                        assert_true(append_unit(reply, unit, r->slow_stop ? "deactivating" : "active") >= 0);
        }
        assert_true(sd_bus_message_close_container(reply) >= 0);
        assert_true(sd_bus_send(NULL, reply, NULL) >= 0);
        return 1;
}

static int on_subscribe(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return sd_bus_reply_method_return(m, NULL);
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Subscribe", "", "", on_subscribe, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("StartUnit", "ss", "o", on_start, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("RestartUnit", "ss", "o", on_start, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("StopUnit", "ss", "o", on_stop, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("SetUnitProperties", "sba(sv)", "", on_set_properties, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("ListUnitsByPatterns", "asas", "a(ssssssouso)", on_list, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("LookupDynamicUserByUID", "u", "s", on_lookup, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL("JobRemoved", "uoss", 0),
        SD_BUS_VTABLE_END,
};

void fake_systemd_start(Rig *r) {
        r->systemd = rig_connect(r);
        assert_true(sd_bus_add_object_vtable(r->systemd, NULL, SYSTEMD_PATH, SYSTEMD ".Manager", vtable, r) >= 0);
        assert_true(sd_bus_request_name(r->systemd, SYSTEMD, 0) >= 0);
}
