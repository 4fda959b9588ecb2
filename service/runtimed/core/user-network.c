/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the user networking of VMs: starting it, other ports for one that runs, and coming back to it after a restart.
 */
#include "core/user-network.h"

#include <errno.h>
#include <string.h>

#include "core/boot.h"
#include "core/metrics.h"
#include "launch/helper.h"
#include "qemu/argv.h"
#include "shared/crash-point.h"
#include "shared/fd.h"
#include "shared/log.h"

/* Another publication under way. */
struct Publication {
        VMSpec *spec;
        VMDone done;
        void *userdata;
        json_int_t id;
};

static json_t *passt_command(Runtime *rt, const VMSpec *spec) {
        PasstPlan plan = {.binary = rt->config->passt, .ports = spec->ports, .n_ports = spec->n_ports};
        g_auto(GStrv) argv = passt_argv(&plan);
        json_t *array = json_array();

        for (char **arg = argv; *arg; arg++)
                (void) json_array_append_new(array, json_string(*arg));
        return array;
}

static const char *known_error(const char *name) {
        return name && strcmp(name, "PortInUse") == 0     ? "PortInUse"
               : name && strcmp(name, "ToolMissing") == 0 ? "ToolMissing"
                                                          : "BuildFailed";
}

static Problem *problem_of(json_t *message) {
        const char *text = json_string_value(json_object_get(message, "message"));

        return problem_new(known_error(json_string_value(json_object_get(message, "error"))), "Ports",
                "Ports: user networking could not be set up: %s", text ?: "no reason given");
}

/* The ports of spec as they are bound. picked has those that the spec leaves open, in the command line's order: TCP
 * first. NULL with -EBADMSG when that is not what picked is; NULL with 0 when none is open. */
static uint16_t *resolve_ports(const VMSpec *spec, const json_t *picked, int *ret) {
        g_autofree uint16_t *ports = g_new0(uint16_t, spec->n_ports + 1);
        size_t n = 0;

        *ret = -EBADMSG;
        for (int protocol = PORT_TCP; protocol <= PORT_UDP; protocol++)
                for (size_t i = 0; i < spec->n_ports; i++) {
                        json_int_t port = spec->ports[i].host;

                        if (spec->ports[i].protocol != (PortProtocol) protocol)
                                continue;
                        if (port == 0)
                                port = json_integer_value(json_array_get(picked, n++));
                        if (port < 1 || port > UINT16_MAX)
                                return NULL;
                        ports[i] = (uint16_t) port;
                }
        if (json_array_size(picked) != n)
                return NULL;
        *ret = 0;
        return n > 0 ? g_steal_pointer(&ports) : NULL;
}

uint16_t *user_network_take_ports(VM *vm) {
        return g_steal_pointer(&vm->picked_ports);
}

static int take_picked(VM *vm, const VMSpec *spec, const json_t *message) {
        int r;

        g_free(vm->picked_ports);
        vm->picked_ports = resolve_ports(spec, json_object_get(message, "picked"), &r);
        return r;
}

static void end_publication(VM *vm, const Problem *problem) {
        Publication *p = g_steal_pointer(&vm->publication);

        if (!p)
                return;
        p->done(problem, p->userdata);
        vm_spec_free(p->spec);
        g_free(p);
}

static void on_ready(VM *vm, json_t *message) {
        VMRecord *record = vm->record;

        if (take_picked(vm, record->spec, message) < 0) {
                g_autoptr(Problem) problem =
                        problem_new("BuildFailed", NULL, "user networking does not say which ports it has bound");

                boot_network_failed(vm->boot, problem);
                return;
        }
        vm_changing(vm, "Ports");
        g_free(record->host_ports);
        record->host_ports = user_network_take_ports(vm);
        CRASH_POINT(START_PASST_UP);
        boot_networked(vm->boot);
}

static void on_reply(VM *vm, json_t *message) {
        g_autoptr(Problem) problem = NULL;

        if (!vm->publication || json_integer_value(json_object_get(message, "id")) != vm->publication->id)
                return;
        if (json_object_get(message, "error"))
                problem = problem_of(message);
        else if (take_picked(vm, vm->publication->spec, message) < 0)
                problem = problem_new("BuildFailed", NULL, "user networking does not say which ports it has bound");
        end_publication(vm, problem);
}

static void on_message(Helper *h, json_t *message, void *userdata) {
        const char *type = json_string_value(json_object_get(message, "type"));
        g_autoptr(Problem) problem = NULL;
        VM *vm = userdata;

        if (strcmp(type, "reply") == 0)
                on_reply(vm, message);
        else if (strcmp(type, "usage") == 0)
                metrics_of_traffic(vm, message);
        else if (vm->boot && strcmp(type, "ready") == 0)
                on_ready(vm, message);
        else if (vm->boot && strcmp(type, "failed") == 0) {
                problem = problem_of(message);
                boot_network_failed(vm->boot, problem);
        }
}

static void on_end(Helper *h, int r, const char *text, void *userdata) {
        g_autoptr(Problem) problem =
                problem_new("BuildFailed", NULL, "user networking ended before it was ready: %s", text);
        VM *vm = userdata;

        vm->passt = helper_free(vm->passt);
        end_publication(vm, problem);
        if (vm->boot)
                boot_network_failed(vm->boot, problem);
        else if (vm_state_is_active(vm_state(vm)) && vm_state(vm) != VM_STOPPING)
                log_warning("%s: its user networking has ended", vm->name);
}

static const HelperOps ops = {.message = on_message, .end = on_end};

/* How mcp-passt probes the guest. */
static void add_probe(json_t *message, const char *key, const Probe *probe) {
        g_autofree char *text = probe_kind_is_connection(probe->kind) ? probe_to_guest(probe) : NULL;

        if (text)
                (void) json_object_set_new(message, key, json_string(text));
}

int user_network_start(VM *vm, int sock, int probes) {
        static const char *const names[] = {"socket", "probes"};
        int fds[] = {sock, probes};
        g_autofree char *unit = vm_passt_unit(vm);
        json_t *message = json_pack("{s:o, s:I}", "argv", passt_command(vm->runtime, vm->record->spec), "boot",
                (json_int_t) vm->record->boot_id + 1); /* the boot that begins */

        if (probes >= 0) {
                add_probe(message, "ready", &vm->record->spec->ready);
                add_probe(message, "health", &vm->record->spec->health);
        }
        return helper_start(vm->runtime->launch, unit, message, fds, names, probes >= 0 ? 2 : 1, &ops, vm, &vm->passt);
}

void user_network_stop(VM *vm) {
        g_autofree char *unit = vm_passt_unit(vm);
        g_autoptr(Problem) problem = problem_new("VMNotRunning", NULL, "the VM ended");

        vm->passt = helper_free(vm->passt);
        systemd_stop_and_forget(vm->runtime->systemd, unit);
        if (vm->record->host_ports) {
                vm_changing(vm, "Ports");
                g_clear_pointer(&vm->record->host_ports, g_free);
        }
        end_publication(vm, problem);
}

void user_network_free(VM *vm) {
        g_autoptr(Problem) problem = problem_new("Canceled", NULL, "the service ends");

        vm->passt = helper_free(vm->passt);
        g_clear_pointer(&vm->picked_ports, g_free);
        end_publication(vm, problem);
}

void user_network_adopt(VM *vm, const json_t *hello) {
        const json_t *boot = json_object_get(hello, "boot");

        if (vm->passt || vm->boot || !vm->record || !vm_state_is_active(vm_state(vm)) ||
                strcmp(vm->record->spec->network, NETWORK_USER) != 0 ||
                json_integer_value(boot) != (json_int_t) vm->record->boot_id)
                return;
        (void) helper_adopt(vm->runtime->launch, &ops, vm, &vm->passt);
}

int user_network_publish(VM *vm, const VMSpec *spec, VMDone done, void *userdata, Problem **ret_problem) {
        Publication *p;
        int r = -ENOTCONN;

        if (vm->publication)
                return problem_set(ret_problem, "Busy", NULL, "VM '%s' is about to publish other ports", vm->name);
        p = g_new0(Publication, 1);
        *p = (Publication){
                .spec = vm_spec_copy(spec), .done = done, .userdata = userdata, .id = (json_int_t) ++vm->last_request};
        if (vm->passt)
                r = helper_send(vm->passt, json_pack("{s:s, s:I, s:o}", "type", "forwards", "id", p->id, "argv",
                                                   passt_command(vm->runtime, spec)));
        if (r < 0) {
                vm_spec_free(p->spec);
                g_free(p);
                return problem_set(ret_problem, "Busy", NULL,
                        "the user networking of VM '%s' does not listen now: %s; try again, or stop the VM first",
                        vm->name, g_strerror(-r));
        }
        vm->publication = p;
        return 0;
}
