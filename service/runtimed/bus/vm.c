/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.mcp.Runtime1.VM: parses, asks the gate, calls one verb, replies. Properties are in vm-properties.c. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bus/answer.h"
#include "bus/gate.h"
#include "bus/log-stream.h"
#include "bus/message.h"
#include "bus/properties.h"
#include "bus/vm-resources.h"
#include "bus/vm-view.h"
#include "bus/vm-wait.h"
#include "core/export.h"
#include "model/mount.h"
#include "shared/fd.h"
#include "store/console-log.h"

typedef struct VMRequest {
        uint64_t number; /* timeout, cursor, whether to keep disks */
        uint32_t lines;
        bool wait_ready;
        char *text; /* signal, state */
        LogStreamOptions log;
        json_t *changes;     /* of an update, */
        GPtrArray *problems; /* what is wrong with it, */
        VMSpec *spec;        /* and the whole that it makes */
        SpecPayload payload;
        char **credentials; /* names of those in the payload of a start, NULL: none were given */
} VMRequest;

static VMRequest *vm_request_new(void) {
        VMRequest *q = g_new0(VMRequest, 1);

        q->payload = SPEC_PAYLOAD_NONE;
        return q;
}

static void vm_request_free(void *p) {
        VMRequest *q = p;

        g_free(q->text);
        vm_spec_free(q->spec);
        spec_payload_clear(&q->payload);
        g_strfreev(q->credentials);
        json_decref(q->changes);
        g_clear_pointer(&q->problems, g_ptr_array_unref);
        g_free(q);
}

/* Begins a call on the VM; takes q, which may be NULL. */
static int begin(sd_bus_message *m, VM *vm, VMRequest *q, CallRun run, sd_bus_error *error) {
        Call *c = call_new(bus_of(vm->runtime), m, "VM", q, vm_request_free, run);

        call_set_vm(c, vm);
        return call_begin(c, error);
}

/* ---- Jobs ---- */

static int run_start(Call *c, sd_bus_error *error) {
        g_autoptr(Problem) problem = NULL;
        VMRequest *q = c->request;
        Job *job = NULL;
        VM *vm;
        int r;

        r = call_vm(c, &vm, error);
        if (r < 0)
                return r;
        if (q->credentials)
                r = vm_check_credentials(vm, q->credentials, &problem);
        if (r >= 0)
                r = vm_start(vm, c->uid, &q->payload, q->wait_ready, &job, &problem);
        return r < 0 ? bus_error_problem(error, problem) : answer_job(c, job);
}

static const OptionKey start_options[] = {{"Credentials", "a{say}"}, {"RefreshVolumes", "b"}, {"WaitReady", "b"}, {}};

/* Paths of the host are read now as they were at the VM's creation, so now is asked as then. */
static int plan_start(Call *c, sd_bus_error *error) {
        VMRequest *q = c->request;
        VM *vm;
        int r;

        r = call_vm(c, &vm, error);
        if (r < 0)
                return r;
        if (vm->record && q->payload.refresh_volumes && *vm->record->spec->volumes)
                call_add_action(c, "use-host-path");
        return 0;
}

static int method_start(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func((GDestroyNotify) problem_free);
        VMRequest *q = vm_request_new();
        json_t *options = NULL, *credentials;
        VM *vm = userdata;
        Call *c;
        int r;

        r = message_read_options_with(m, start_options, &q->payload, &options, error);
        credentials = json_object_get(options, "Credentials");
        if (r >= 0 && credentials && spec_credential_names(credentials, problems, &q->credentials) < 0)
                r = bus_error_problem(error, problems->pdata[0]);
        q->payload.refresh_volumes = json_is_true(json_object_get(options, "RefreshVolumes"));
        q->wait_ready = json_is_true(json_object_get(options, "WaitReady"));
        json_decref(options);
        if (r < 0) {
                vm_request_free(q);
                return r;
        }
        c = call_new(bus_of(vm->runtime), m, "VM", q, vm_request_free, run_start);
        call_set_vm(c, vm);
        c->plan = plan_start;
        return call_begin(c, error);
}

static int run_stop(Call *c, sd_bus_error *error) {
        g_autoptr(Problem) problem = NULL;
        VMRequest *q = c->request;
        Job *job = NULL;
        VM *vm;
        int r;

        r = call_vm(c, &vm, error);
        if (r < 0)
                return r;
        r = vm_stop(vm, c->uid, q->number, &job, &problem);
        return r < 0 ? bus_error_problem(error, problem) : answer_job(c, job);
}

static int method_stop(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        uint64_t timeout;
        VMRequest *q;
        int r;

        r = sd_bus_message_read(m, "t", &timeout);
        if (r >= 0)
                r = message_read_no_options(m, error);
        if (r < 0)
                return r;
        if (timeout > SPEC_STOP_TIMEOUT_MAX)
                return bus_error_named(error, "InvalidSpec",
                        "timeout: %" PRIu64 " is above %llu microseconds (an hour)", timeout, SPEC_STOP_TIMEOUT_MAX);
        q = vm_request_new();
        q->number = timeout;
        return begin(m, userdata, q, run_stop, error);
}

static int run_remove(Call *c, sd_bus_error *error) {
        g_autoptr(Problem) problem = NULL;
        Job *job = NULL;
        VM *vm;
        int r;

        r = call_vm(c, &vm, error);
        if (r < 0)
                return r;
        r = vm_remove(vm, c->uid, ((VMRequest *) c->request)->number != 0, &job, &problem);
        return r < 0 ? bus_error_problem(error, problem) : answer_job(c, job);
}

static const OptionKey remove_options[] = {{"KeepDisks", "b"}, {}};

static int method_remove(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        json_t *options;
        VMRequest *q;
        int r;

        r = message_read_options(m, remove_options, &options, error);
        if (r < 0)
                return r;
        q = vm_request_new();
        q->number = json_is_true(json_object_get(options, "KeepDisks"));
        json_decref(options);
        return begin(m, userdata, q, run_remove, error);
}

/* ---- Requests to the monitor ---- */

static int run_request(Call *c, const char *type, const char *signal, sd_bus_error *error) {
        g_autoptr(Problem) problem = NULL;
        VM *vm;
        int r;

        r = call_vm(c, &vm, error);
        if (r < 0)
                return r;
        if (vm_request(vm, type, signal, answer_done, sd_bus_message_ref(c->message), &problem) < 0) {
                sd_bus_message_unref(c->message);
                return bus_error_problem(error, problem);
        }
        return 0;
}

static int run_kill(Call *c, sd_bus_error *error) {
        return run_request(c, "kill", ((VMRequest *) c->request)->text, error);
}

static int run_pause(Call *c, sd_bus_error *error) {
        return run_request(c, "pause", NULL, error);
}

static int run_resume(Call *c, sd_bus_error *error) {
        return run_request(c, "resume", NULL, error);
}

#define SIGNAL_NAME_MAX 16U

static int method_kill(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *signal;
        VMRequest *q;
        int r;

        r = sd_bus_message_read(m, "s", &signal);
        if (r < 0)
                return r;
        if (!*signal || strlen(signal) > SIGNAL_NAME_MAX)
                return bus_error_named(
                        error, "InvalidSpec", "signal: expected the name of a signal, like TERM or SIGHUP");
        q = vm_request_new();
        q->text = g_strdup(signal);
        return begin(m, userdata, q, run_kill, error);
}

static int method_pause(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return begin(m, userdata, NULL, run_pause, error);
}

static int method_resume(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return begin(m, userdata, NULL, run_resume, error);
}

static int run_reset(Call *c, sd_bus_error *error) {
        return run_request(c, "reset", NULL, error);
}

static int method_reset(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return begin(m, userdata, NULL, run_reset, error);
}

/* ---- Update ---- */

/* The present spec with the changes laid over it, checked as a whole. */
static int merge_spec(VM *vm, json_t *changes, GPtrArray *problems, VMSpec **ret) {
        json_t *whole = vm_spec_to_json(vm->record->spec);
        int r;

        (void) json_object_update(whole, changes);
        r = vm_spec_parse(whole, &vm->runtime->limits, problems, ret);
        json_decref(whole);
        return r;
}

/* Problems of the whole may tell of the present spec: they are kept until the caller is known to be one who may read
 * it. */
static int plan_update(Call *c, sd_bus_error *error) {
        VMRequest *q = c->request;
        const char *extra[AUTH_EXTRA_MAX];
        size_t n;
        VM *vm;
        int r;

        r = call_whole_vm(c, &vm, error);
        if (r < 0)
                return r;
        if (merge_spec(vm, q->changes, q->problems, &q->spec) < 0)
                return 0;
        n = auth_spec_actions(q->spec, extra);
        for (size_t i = 0; i < n; i++)
                call_add_action(c, extra[i]);
        c->detail_network = g_strdup(q->spec->network);
        c->detail_path = spec_host_paths(q->spec);
        c->detail_ports = auth_spec_ports(q->spec);
        return 0;
}

static int run_update(Call *c, sd_bus_error *error) {
        g_autoptr(Problem) problem = NULL;
        VMRequest *q = c->request;
        VM *vm;
        int r;

        r = call_vm(c, &vm, error);
        if (r < 0)
                return r;
        if (q->problems->len > 0)
                return bus_error_problem(error, q->problems->pdata[0]);
        if (vm_update(vm, q->spec, &q->payload, answer_done, sd_bus_message_ref(c->message), &problem) < 0) {
                sd_bus_message_unref(c->message);
                return bus_error_problem(error, problem);
        }
        return 0;
}

static int method_update(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        VM *vm = userdata;
        VMRequest *q = vm_request_new();
        Call *c;
        int r;

        q->problems = g_ptr_array_new_with_free_func((GDestroyNotify) problem_free);
        r = message_read_spec(m, NULL, q->problems, &q->payload, &q->changes);
        if (r < 0) {
                vm_request_free(q);
                return r;
        }
        if (json_object_get(q->changes, "VolumeArchives")) {
                vm_request_free(q);
                return bus_error_named(error, "InvalidSpec",
                        "VolumeArchives: they are read when a VM is first started, so only RunVM takes them");
        }
        c = call_new(bus_of(vm->runtime), m, "VM", q, vm_request_free, run_update);
        call_set_vm(c, vm);
        c->plan = plan_update;
        return call_begin(c, error);
}

/* ---- Reading ---- */

static int run_get_spec(Call *c, sd_bus_error *error) {
        __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *reply = NULL;
        VM *vm;
        int r;

        r = call_whole_vm(c, &vm, error);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_return(c->message, &reply);
        if (r >= 0)
                r = message_append_spec(reply, vm->record->spec);
        return r < 0 ? r : sd_bus_send(c->bus->bus, reply, NULL);
}

static int method_get_spec(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return begin(m, userdata, NULL, run_get_spec, error);
}

static int run_describe(Call *c, sd_bus_error *error) {
        __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *reply = NULL;
        g_autoptr(Problem) problem = NULL;
        g_auto(GStrv) argv = NULL;
        VM *vm;
        int r;

        r = call_whole_vm(c, &vm, error);
        if (r < 0)
                return r;
        if (vm_describe(vm->runtime, vm_owner(vm), vm->name, vm->record->uuid, vm->record->spec, &argv, &problem) < 0 &&
                !argv)
                return bus_error_problem(error, problem);
        r = sd_bus_message_new_method_return(c->message, &reply);
        if (r >= 0)
                r = sd_bus_message_append_strv(reply, argv);
        return r < 0 ? r : sd_bus_send(c->bus->bus, reply, NULL);
}

static void on_exported(const char *text, const Problem *problem, void *userdata) {
        sd_bus_message *message = userdata;

        if (problem)
                answer_problem(message, problem);
        else
                (void) sd_bus_reply_method_return(message, "s", text);
        sd_bus_message_unref(message);
}

static int run_export(Call *c, sd_bus_error *error) {
        VM *vm;
        int r;

        r = call_whole_vm(c, &vm, error);
        if (r < 0)
                return r;
        vm_export(vm, on_exported, sd_bus_message_ref(c->message));
        return 0;
}

static int method_export(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return begin(m, userdata, NULL, run_export, error);
}

static int method_describe(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return begin(m, userdata, NULL, run_describe, error);
}

#define READ_LINES_MAX 1000U
#define READ_BYTES_MAX (1024U * 1024U)

static int append_lines(sd_bus_message *reply, ConsoleLog *log, const VMRequest *q) {
        uint64_t next = q->number, bytes = 0;
        struct log_line line;
        int r;

        r = sd_bus_message_open_container(reply, 'a', "(tus)");
        for (uint32_t n = 0; r >= 0 && n < q->lines && bytes < READ_BYTES_MAX && console_log_next(log, &line); n++) {
                g_autofree char *text = g_strndup(line.text, line.text_len);

                r = sd_bus_message_append(reply, "(tus)", line.time, line.boot, text);
                next = line.seq + 1;
                bytes += line.text_len;
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_append(reply, "t", next);
}

static int run_read_log(Call *c, sd_bus_error *error) {
        __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *reply = NULL;
        g_autoptr(ConsoleLog) log = NULL;
        VMRequest *q = c->request;
        VM *vm;
        int r;

        r = call_vm(c, &vm, error);
        if (r < 0)
                return r;
        r = console_log_open(vm->runtime->store, vm->name, &log);
        if (r < 0)
                return r;
        console_log_seek(log, LOG_BY_SEQ, q->number);
        r = sd_bus_message_new_method_return(c->message, &reply);
        if (r >= 0)
                r = append_lines(reply, log, q);
        return r < 0 ? r : sd_bus_send(c->bus->bus, reply, NULL);
}

static int method_read_log(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        VMRequest *q = vm_request_new();
        int r;

        r = sd_bus_message_read(m, "tu", &q->number, &q->lines);
        if (r < 0) {
                vm_request_free(q);
                return r;
        }
        if (q->lines == 0 || q->lines > READ_LINES_MAX)
                q->lines = READ_LINES_MAX;
        return begin(m, userdata, q, run_read_log, error);
}

static int run_open_log(Call *c, sd_bus_error *error) {
        _cleanup_close_ int fd = -1;
        VM *vm;
        int r;

        r = call_vm(c, &vm, error);
        if (r < 0)
                return r;
        fd = log_stream_new(c->bus, vm, c->uid, &((VMRequest *) c->request)->log);
        if (fd == -EDQUOT)
                return bus_error_named(error, "QuotaExceeded", "user %u has %u open logs, the limit is %u", c->uid,
                        c->bus->runtime->config->log_followers_max, c->bus->runtime->config->log_followers_max);
        if (fd < 0)
                return fd;
        return sd_bus_reply_method_return(c->message, "h", fd);
}

static const OptionKey open_log_options[] = {
        {"boot", "u"}, {"tail", "t"}, {"since", "t"}, {"follow", "b"}, {"timestamps", "b"}, {}};

static int method_open_log(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        json_t *options, *tail;
        VMRequest *q;
        int r;

        r = message_read_options(m, open_log_options, &options, error);
        if (r < 0)
                return r;
        tail = json_object_get(options, "tail");
        q = vm_request_new();
        q->log = (LogStreamOptions){
                .boot = (uint32_t) json_integer_value(json_object_get(options, "boot")),
                .tail = tail ? (uint64_t) json_integer_value(tail) : UINT64_MAX,
                .since = (uint64_t) json_integer_value(json_object_get(options, "since")),
                .follow = json_is_true(json_object_get(options, "follow")),
                .timestamps = json_is_true(json_object_get(options, "timestamps")),
        };
        json_decref(options);
        return begin(m, userdata, q, run_open_log, error);
}

const sd_bus_vtable vm_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Start", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("u", id, "o", job), method_start,
                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Stop", SD_BUS_ARGS("t", timeout, "a{sv}", options), SD_BUS_RESULT("u", id, "o", job),
                method_stop, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS(
                "Kill", SD_BUS_ARGS("s", signal), SD_BUS_NO_RESULT, method_kill, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Pause", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_pause, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Resume", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_resume, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Reset", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_reset, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Remove", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("u", id, "o", job),
                method_remove, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS(
                "Update", SD_BUS_ARGS("a{sv}", changes), SD_BUS_NO_RESULT, method_update, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SetMemory", SD_BUS_ARGS("t", bytes), SD_BUS_NO_RESULT, vm_method_set_memory,
                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SetLimits", SD_BUS_ARGS("a{sv}", limits), SD_BUS_NO_RESULT, vm_method_set_limits,
                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS(
                "GetSpec", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{sv}", spec), method_get_spec, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("DescribeCommand", SD_BUS_NO_ARGS, SD_BUS_RESULT("as", argv), method_describe,
                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ExportUnit", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", unit), method_export,
                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ReadLog", SD_BUS_ARGS("t", cursor, "u", lines),
                SD_BUS_RESULT("a(tus)", log, "t", next), method_read_log, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("OpenConsole", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("h", console),
                vm_method_open_console, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("OpenDisplay", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("h", display),
                vm_method_open_display, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("OpenLog", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("h", log), method_open_log,
                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Wait", SD_BUS_ARGS("s", state), SD_BUS_RESULT("s", reached), vm_method_wait,
                SD_BUS_VTABLE_UNPRIVILEGED),
        VM_PROPERTIES,
        SD_BUS_VTABLE_END,
};
