/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.mcp.Runtime1.Manager: parses, asks the gate, calls one verb, replies. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/answer.h"
#include "bus/gate.h"
#include "bus/manager.h"
#include "bus/message.h"
#include "core/reconcile.h"
#include "core/users.h"
#include "model/mount.h"
#include "model/name.h"
#include "shared/fd.h"

/* ---- CreateVM, RunVM, ValidateVM ---- */

typedef struct SpecRequest {
        char *name;
        VMSpec *spec;        /* NULL where there are problems */
        bool pulls;          /* it was asked whether the image may be pulled */
        GPtrArray *problems; /* Problem */
        SpecPayload payload;
        bool wait_ready; /* RunVM's */
} SpecRequest;

static void spec_request_free(void *p) {
        SpecRequest *q = p;

        g_free(q->name);
        vm_spec_free(q->spec);
        g_ptr_array_unref(q->problems);
        spec_payload_clear(&q->payload);
        g_free(q);
}

/* What RunVM takes beside a spec; ValidateVM takes it, too, and has no use for it. */
static const OptionKey run_keys[] = {{"WaitReady", "b"}, {}};

static int read_spec_request(Bus *b, sd_bus_message *m, const OptionKey *extra, SpecRequest **ret) {
        SpecRequest *q = g_new0(SpecRequest, 1);
        json_t *object = NULL;
        const char *name;
        int r;

        q->problems = g_ptr_array_new_with_free_func((GDestroyNotify) problem_free);
        q->payload = SPEC_PAYLOAD_NONE;
        r = sd_bus_message_read(m, "s", &name);
        if (r >= 0)
                r = message_read_spec(m, extra, q->problems, &q->payload, &object);
        if (r < 0) {
                spec_request_free(q);
                return r;
        }
        q->name = g_strdup(name);
        if (extra) {
                q->wait_ready = json_is_true(json_object_get(object, "WaitReady"));
                (void) json_object_del(object, "WaitReady");
        }
        if (vm_spec_parse(object, &b->runtime->limits, q->problems, &q->spec) >= 0 && q->problems->len > 0)
                g_clear_pointer(&q->spec, vm_spec_free);
        json_decref(object);
        *ret = q;
        return 0;
}

static bool is_run(const Call *c) {
        return strcmp(c->row->member, "RunVM") == 0;
}

/* Everything that can be said of the request is said before anybody is asked. */
static int plan_spec(Call *c, sd_bus_error *error) {
        SpecRequest *q = c->request;
        const char *extra[AUTH_EXTRA_MAX];
        g_autoptr(Problem) problem = NULL;
        size_t n;

        c->vm_name = g_strdup(q->name);
        c->detail_image = g_strdup(q->spec->image);
        c->detail_network = g_strdup(q->spec->network);
        c->detail_path = spec_host_paths(q->spec);
        c->detail_ports = auth_spec_ports(q->spec);
        if (vm_check_new(c->bus->runtime, q->name, c->uid, q->spec, is_run(c), &problem) < 0)
                return bus_error_problem(error, problem);
        q->pulls = is_run(c) && vm_must_pull(c->bus->runtime, c->uid, q->spec);
        if (q->pulls)
                call_add_action(c, "pull-image");
        n = auth_spec_actions(q->spec, extra);
        for (size_t i = 0; i < n; i++)
                call_add_action(c, extra[i]);
        return 0;
}

static int create_from_request(Call *c, VM **ret, sd_bus_error *error) {
        SpecRequest *q = c->request;
        const char *owner = users_name(c->bus->runtime->users, c->uid);
        g_autoptr(Problem) problem = NULL;

        if (vm_create(c->bus->runtime, q->name, c->uid, owner, q->spec, q->pulls, &q->payload, ret, &problem) < 0)
                return bus_error_problem(error, problem);
        return 0;
}

static int run_create(Call *c, sd_bus_error *error) {
        char *path;
        VM *vm;
        int r;

        r = create_from_request(c, &vm, error);
        if (r < 0)
                return r;
        path = bus_vm_path(vm->name);
        r = sd_bus_reply_method_return(c->message, "o", path);
        free(path);
        return r;
}

static int run_run(Call *c, sd_bus_error *error) {
        g_autoptr(Problem) problem = NULL;
        char *vm_path, *job_path;
        Job *job;
        VM *vm;
        int r;

        r = create_from_request(c, &vm, error);
        if (r < 0)
                return r;
        vm_path = bus_vm_path(vm->name);
        if (vm_start(vm, c->uid, NULL, ((SpecRequest *) c->request)->wait_ready, &job, &problem) < 0) {
                free(vm_path);
                vm_discard(vm);
                return bus_error_problem(error, problem);
        }
        bus_watch_job(c->bus, job, c->message);
        job_path = bus_job_path(job);
        r = sd_bus_reply_method_return(c->message, "ouo", vm_path, job->id, job_path);
        free(vm_path);
        free(job_path);
        return r;
}

static int begin_spec(sd_bus_message *m, Bus *b, const OptionKey *extra, CallRun run, sd_bus_error *error) {
        SpecRequest *q;
        Call *c;
        int r;

        r = read_spec_request(b, m, extra, &q);
        if (r < 0)
                return r;
        if (!q->spec) {
                r = bus_error_problem(error, q->problems->pdata[0]);
                spec_request_free(q);
                return r;
        }
        if (*q->spec->archives && run == run_create) {
                spec_request_free(q);
                return bus_error_named(error, "InvalidSpec",
                        "VolumeArchives: they are read when the VM is first started, so only RunVM takes them");
        }
        c = call_new(b, m, "Manager", q, spec_request_free, run);
        c->plan = plan_spec;
        return call_begin(c, error);
}

static int method_create_vm(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return begin_spec(m, userdata, NULL, run_create, error);
}

static int method_run_vm(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return begin_spec(m, userdata, run_keys, run_run, error);
}

static int run_validate(Call *c, sd_bus_error *error) {
        __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *reply = NULL;
        g_auto(GStrv) argv = NULL;
        g_autofree char *uuid = g_uuid_string_random();
        SpecRequest *q = c->request;
        Problem *problem = NULL;
        int r;

        if (q->spec ? vm_check_new(c->bus->runtime, q->name, c->uid, q->spec, true, &problem) < 0
                    : vm_check_name(c->bus->runtime, q->name, &problem) < 0)
                g_ptr_array_add(q->problems, problem);
        problem = NULL;
        if (q->spec && vm_describe(c->bus->runtime, c->uid, q->name, uuid, q->spec, &argv, &problem) < 0)
                g_ptr_array_add(q->problems, problem);
        r = sd_bus_message_new_method_return(c->message, &reply);
        if (r >= 0)
                r = sd_bus_message_append_strv(reply, argv);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(ss)");
        for (guint i = 0; i < q->problems->len && r >= 0; i++) {
                Problem *p = q->problems->pdata[i];

                r = sd_bus_message_append(reply, "(ss)", p->key ?: "", p->text);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(c->bus->bus, reply, NULL);
}

static int method_validate_vm(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        SpecRequest *q;
        int r;

        r = read_spec_request(userdata, m, run_keys, &q);
        if (r < 0)
                return r;
        return call_begin(call_new(userdata, m, "Manager", q, spec_request_free, run_validate), error);
}

/* ---- VMs ---- */

static int method_get_vm(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        const char *name;
        char *path;
        VM *vm;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        vm = runtime_find_vm(b->runtime, name);
        if (!vm) {
                g_autofree char *shown = problem_quote(name);

                return bus_error_named(error, "NoSuchVM", "there is no VM %s", shown);
        }
        path = bus_vm_path(vm->name);
        r = sd_bus_reply_method_return(m, "o", path);
        free(path);
        return r;
}

static gint by_name(gconstpointer a, gconstpointer b) {
        return strcmp((*(VM *const *) a)->name, (*(VM *const *) b)->name);
}

static bool filter_takes(json_t *filter, VM *vm) {
        const char *state = json_string_value(json_object_get(filter, "State")),
                   *label = json_string_value(json_object_get(filter, "Label"));
        json_t *owner = json_object_get(filter, "Owner");

        if (state && strcmp(state, vm_state_to_string(vm_state(vm))) != 0)
                return false;
        if (owner && json_integer_value(owner) != (json_int_t) vm_owner(vm))
                return false;
        if (label) {
                g_auto(GStrv) kv = g_strsplit(label, "=", 2);
                const char *value = vm->record && vm->record->spec->labels
                                            ? g_hash_table_lookup(vm->record->spec->labels, kv[0])
                                            : NULL;

                return value && (!kv[1] || strcmp(kv[1], value) == 0);
        }
        return true;
}

static const OptionKey list_vms_options[] = {{"State", "s"}, {"Owner", "u"}, {"Label", "s"}, {}};

static int method_list_vms(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *reply = NULL;
        g_autoptr(GPtrArray) vms = g_ptr_array_new();
        Bus *b = userdata;
        const char *state;
        json_t *filter;
        GHashTableIter iter;
        gpointer value;
        int r;

        r = message_read_options(m, list_vms_options, &filter, error);
        if (r < 0)
                return r;
        state = json_string_value(json_object_get(filter, "State"));
        if (state && vm_state_from_string(state) == VM_STATE_INVALID) {
                json_decref(filter);
                return bus_error_named(error, "InvalidSpec", "State: expected one of " VM_STATES);
        }
        g_hash_table_iter_init(&iter, b->runtime->vms);
        while (g_hash_table_iter_next(&iter, NULL, &value))
                if (filter_takes(filter, value))
                        g_ptr_array_add(vms, value);
        json_decref(filter);
        g_ptr_array_sort(vms, by_name);
        r = answer_list_new(m, "(sssso)", &reply);
        for (guint i = 0; i < vms->len && r >= 0; i++) {
                VM *vm = vms->pdata[i];
                char *path = bus_vm_path(vm->name);

                r = sd_bus_message_append(reply, "(sssso)", vm->name, vm->record ? vm->record->spec->image : "",
                        vm_state_to_string(vm_state(vm)), vm->record ? vm->record->address : "", path);
                free(path);
        }
        return answer_list(reply, r);
}

/* ---- Jobs ---- */

static int method_list_jobs(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *reply = NULL;
        Bus *b = userdata;
        GHashTableIter iter;
        gpointer value;
        int r;

        r = message_read_no_options(m, error);
        if (r < 0)
                return r;
        r = answer_list_new(m, "(usso)", &reply);
        g_hash_table_iter_init(&iter, b->runtime->jobs);
        while (r >= 0 && g_hash_table_iter_next(&iter, NULL, &value)) {
                Job *j = value;
                char *path = bus_job_path(j);

                r = sd_bus_message_append(reply, "(usso)", j->id, j->kind, job_state_to_string(j->state), path);
                free(path);
        }
        return answer_list(reply, r);
}

/* ---- Reconcile ---- */

static void on_reconciled(unsigned repaired, void *userdata) {
        sd_bus_message *m = userdata;

        (void) sd_bus_reply_method_return(m, "u", (uint32_t) repaired);
        sd_bus_message_unref(m);
}

static int run_reconcile(Call *c, sd_bus_error *error) {
        if (reconcile(c->bus->runtime, false, on_reconciled, sd_bus_message_ref(c->message)) < 0) {
                sd_bus_message_unref(c->message);
                return bus_error_named(error, "Busy", "%u calls wait for this already", RECONCILE_WAITING_MAX);
        }
        return 0;
}

static int method_reconcile(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        int r;

        r = message_read_no_options(m, error);
        if (r < 0)
                return r;
        return call_begin(call_new(userdata, m, "Manager", NULL, NULL, run_reconcile), error);
}

/* ---- Properties ---- */

BUS_GETTER(get_version) {
        return sd_bus_message_append(reply, "s", PROJECT_VERSION);
}

BUS_GETTER(get_architecture) {
        return sd_bus_message_append(reply, "s", ((Bus *) userdata)->runtime->limits.architecture);
}

BUS_GETTER(get_accelerators) {
        if (((Bus *) userdata)->runtime->kvm == KVM_USABLE)
                return sd_bus_message_append(reply, "as", 2, "kvm", "tcg");
        return sd_bus_message_append(reply, "as", 1, "tcg");
}

BUS_GETTER(get_default_network) {
        return sd_bus_message_append(reply, "s", ((Bus *) userdata)->runtime->config->default_network);
}

BUS_GETTER(get_vm_count) {
        return sd_bus_message_append(reply, "u", (uint32_t) g_hash_table_size(((Bus *) userdata)->runtime->vms));
}

BUS_GETTER(get_running_count) {
        return sd_bus_message_append(reply, "u", runtime_count_running(((Bus *) userdata)->runtime));
}

BUS_GETTER(get_job_count) {
        GHashTableIter iter;
        gpointer value;
        uint32_t n = 0;

        g_hash_table_iter_init(&iter, ((Bus *) userdata)->runtime->jobs);
        while (g_hash_table_iter_next(&iter, NULL, &value))
                n += !job_state_is_finished(((Job *) value)->state) && !((Job *) value)->interrupted;
        return sd_bus_message_append(reply, "u", n);
}

const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Version", "s", get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Architecture", "s", get_architecture, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Accelerators", "as", get_accelerators, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("DefaultNetwork", "s", get_default_network, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("VMCount", "u", get_vm_count, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("RunningCount", "u", get_running_count, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("JobCount", "u", get_job_count, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_METHOD_WITH_ARGS("CreateVM", SD_BUS_ARGS("s", name, "a{sv}", spec), SD_BUS_RESULT("o", vm),
                method_create_vm, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RunVM", SD_BUS_ARGS("s", name, "a{sv}", spec),
                SD_BUS_RESULT("o", vm, "u", id, "o", job), method_run_vm, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS(
                "GetVM", SD_BUS_ARGS("s", name), SD_BUS_RESULT("o", vm), method_get_vm, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListVMs", SD_BUS_ARGS("a{sv}", filter), SD_BUS_RESULT("a(sssso)", vms),
                method_list_vms, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ValidateVM", SD_BUS_ARGS("s", name, "a{sv}", spec),
                SD_BUS_RESULT("as", argv, "a(ss)", problems), method_validate_vm, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ImportImage", SD_BUS_ARGS("s", reference, "h", source, "a{sv}", options),
                SD_BUS_RESULT("u", id, "o", job), manager_import_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ImportImageFile", SD_BUS_ARGS("s", reference, "s", path, "a{sv}", options),
                SD_BUS_RESULT("u", id, "o", job), manager_import_image_file, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("BuildImage", SD_BUS_ARGS("s", reference, "a{sv}", options),
                SD_BUS_RESULT("u", id, "o", job), manager_build_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("PullImage", SD_BUS_ARGS("s", reference, "a{sv}", options),
                SD_BUS_RESULT("u", id, "o", job), manager_pull_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("PushImage", SD_BUS_ARGS("s", reference, "s", destination, "a{sv}", options),
                SD_BUS_RESULT("u", id, "o", job), manager_push_image, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Login", SD_BUS_ARGS("s", registry, "s", user, "h", password, "a{sv}", options),
                SD_BUS_NO_RESULT, manager_login, SD_BUS_VTABLE_UNPRIVILEGED | SD_BUS_VTABLE_SENSITIVE),
        SD_BUS_METHOD_WITH_ARGS(
                "Logout", SD_BUS_ARGS("s", registry), SD_BUS_NO_RESULT, manager_logout, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ImageExists", SD_BUS_ARGS("s", reference), SD_BUS_RESULT("b", exists),
                manager_image_exists, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetImage", SD_BUS_ARGS("s", reference), SD_BUS_RESULT("o", image), manager_get_image,
                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListImages", SD_BUS_ARGS("a{sv}", filter), SD_BUS_RESULT("a(ssto)", images),
                manager_list_images, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListDisks", SD_BUS_ARGS("a{sv}", filter), SD_BUS_RESULT("a(sts)", disks),
                manager_list_disks, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RemoveDisk", SD_BUS_ARGS("s", name, "a{sv}", options), SD_BUS_NO_RESULT,
                manager_remove_disk, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CleanImages", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("t", bytes, "u", count),
                manager_clean_images, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CreateNetwork", SD_BUS_ARGS("s", name, "a{sv}", spec), SD_BUS_RESULT("o", network),
                manager_create_network, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetNetwork", SD_BUS_ARGS("s", name), SD_BUS_RESULT("o", network), manager_get_network,
                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListNetworks", SD_BUS_ARGS("a{sv}", filter), SD_BUS_RESULT("a(ssbo)", networks),
                manager_list_networks, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SelectProfile", SD_BUS_ARGS("s", mode, "s", architecture, "s", os),
                SD_BUS_RESULT("s", profile), manager_select_profile, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetProfile", SD_BUS_ARGS("s", name), SD_BUS_RESULT("o", profile), manager_get_profile,
                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListProfiles", SD_BUS_ARGS("a{sv}", filter), SD_BUS_RESULT("a(sbso)", profiles),
                manager_list_profiles, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ImportProfile", SD_BUS_ARGS("s", name, "h", archive, "a{sv}", options),
                SD_BUS_RESULT("u", id, "o", job), manager_import_profile, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ImportProfileFile", SD_BUS_ARGS("s", name, "s", path, "a{sv}", options),
                SD_BUS_RESULT("u", id, "o", job), manager_import_profile_file, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CleanProfiles", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("t", bytes, "u", count),
                manager_clean_profiles, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ImportState", SD_BUS_ARGS("s", path, "a{sv}", options),
                SD_BUS_RESULT("u", id, "o", job), manager_import_state, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetMetrics", SD_BUS_ARGS("ao", vms), SD_BUS_RESULT("a{oa{sv}}", metrics),
                manager_get_metrics, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListJobs", SD_BUS_ARGS("a{sv}", filter), SD_BUS_RESULT("a(usso)", jobs),
                method_list_jobs, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Reconcile", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("u", repaired),
                method_reconcile, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL_WITH_ARGS("VMNew", SD_BUS_ARGS("s", name, "o", vm), 0),
        SD_BUS_SIGNAL_WITH_ARGS("VMRemoved", SD_BUS_ARGS("s", name, "o", vm), 0),
        SD_BUS_SIGNAL_WITH_ARGS("JobNew", SD_BUS_ARGS("u", id, "o", job), 0),
        SD_BUS_SIGNAL_WITH_ARGS("JobRemoved", SD_BUS_ARGS("u", id, "o", job, "s", result, "s", error_name), 0),
        SD_BUS_VTABLE_END,
};
