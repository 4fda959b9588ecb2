/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Turns specs into plans, launch messages and the guest's boot message. */
#include "core/boot-plan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/image.h"
#include "core/nanos.h"
#include "core/network.h"
#include "model/boot-message.h"
#include "shared/fd.h"
#include "shared/log-line.h"

static json_t *json_strv(char **strv) {
        json_t *array = json_array();

        for (char **s = strv; s && *s; s++)
                (void) json_array_append_new(array, json_string(*s));
        return array;
}

uint16_t boot_queues(const VMSpec *spec) {
        return spec_is_nanos(spec) ? 1 : (uint16_t) MIN(spec->vcpus, NIC_QUEUES_MAX);
}

void boot_plan(Runtime *rt, const char *name, const char *uuid, const VMSpec *spec, Accelerator accelerator,
        QEMUPlan *plan, char **mac) {
        VM *vm = runtime_find_vm_by_uuid(rt, uuid);

        *mac = vm && *vm->record->mac ? g_strdup(vm->record->mac) : mac_from_name(name);
        *plan = (QEMUPlan){.binary = rt->config->qemu,
                .name = name,
                .uuid = uuid,
                .architecture = spec->architecture,
                .accelerator = accelerator,
                .memory_mib = spec->memory_mib,
                .vcpus = spec->vcpus,
                .credentials = *spec->credentials != NULL,
                .nanos = spec_is_nanos(spec),
                .volumes = *spec->volumes != NULL,
                .archives = *spec->archives != NULL,
                .network = strcmp(spec->network, NETWORK_NONE) != 0,
                .queues = network_is_bridge(spec->network) ? boot_queues(spec) : 0,
                .mac = *mac};
}

int boot_check_tools(Runtime *rt, const VMSpec *spec, Problem **ret_problem) {
        const Config *config = rt->config;

        if (access(config->qemu, X_OK) < 0)
                return problem_set(ret_problem, "ToolMissing", NULL,
                        "%s is not there; install the package qemu-system-x86 or set QEMU= in runtime.conf",
                        config->qemu);
        if (strcmp(spec->network, NETWORK_USER) == 0 && access(config->passt, X_OK) < 0)
                return problem_set(ret_problem, "ToolMissing", "Network",
                        "Network: user networking needs passt, and %s is not there; install the package passt, set "
                        "Passt= "
                        "in runtime.conf, or use Network=none",
                        config->passt);
        return spec_is_nanos(spec) ? nanos_check_tools(rt, ret_problem) : 0;
}

json_t *boot_launch_message(VM *vm, char **argv) {
        bool nanos = spec_is_nanos(vm->record->spec);

        return json_pack("{s:I, s:o, s:I, s:I, s:b, s:s}", "boot", (json_int_t) vm->record->boot_id, "argv",
                json_strv(argv), "log_max", (json_int_t) LOG_SEGMENT_BYTES, "stop_timeout",
                (json_int_t) vm->record->spec->stop_timeout, "guest", (int) !nanos, "ready",
                nanos ? "none" : "message");
}

json_t *boot_passt_message(Runtime *rt, const VMSpec *spec) {
        PasstPlan plan = {.binary = rt->config->passt, .ports = spec->ports, .n_ports = spec->n_ports};
        g_auto(GStrv) argv = passt_argv(&plan);

        return json_pack("{s:o}", "argv", json_strv(argv));
}

static bool is_usable_resolver(const char *address) {
        struct in_addr v4;

        return inet_pton(AF_INET, address, &v4) == 1 && (ntohl(v4.s_addr) >> 24) != 127 && v4.s_addr != 0;
}

#define RESOLVERS_MAX 3U /* MAXNS of resolv.conf(5) */

static char **read_resolvers(const char *path) {
        g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(g_free);
        g_autofree char *text = NULL;
        g_auto(GStrv) lines = NULL;

        if (g_file_get_contents(path, &text, NULL, NULL))
                lines = g_strsplit(text, "\n", 0);
        for (char **l = lines; l && *l && found->len < RESOLVERS_MAX; l++)
                if (g_str_has_prefix(*l, "nameserver")) {
                        char *address = g_strstrip(*l + strlen("nameserver"));

                        if (is_usable_resolver(address))
                                g_ptr_array_add(found, g_strdup(address));
                }
        g_ptr_array_add(found, NULL);
        return (char **) g_ptr_array_free(g_steal_pointer(&found), FALSE);
}

/* The host's resolvers as a guest can reach them: a stub on the host's loopback is out of its reach, so then those
 * behind systemd-resolved's stub (systemd-resolved.service(8), "/run/systemd/resolve/resolv.conf"). */
static char **host_resolvers(void) {
        char **found = read_resolvers("/etc/resolv.conf");

        if (*found)
                return found;
        g_strfreev(found);
        return read_resolvers("/run/systemd/resolve/resolv.conf");
}

int boot_message_memfd(Runtime *rt, VM *vm, Problem **ret_problem) {
        const VMSpec *spec = vm->record->spec;
        g_autoptr(GByteArray) message = NULL;
        g_autofree char *address = NULL, *gateway = NULL;
        g_auto(GStrv) resolvers = NULL;
        BootNetwork network = {};
        Image *image = vm_image(vm);
        int r;

        if (!image)
                return problem_set(ret_problem, "NoSuchImage", "Image", "the image of VM '%s' (%s) is gone", vm->name,
                        vm->record->image_digest);
        if (strcmp(spec->network, NETWORK_NONE) != 0) {
                if (!spec->dns || !*spec->dns)
                        resolvers = host_resolvers();
                network = (BootNetwork){.address = USER_NET_ADDRESS "/" G_STRINGIFY(USER_NET_PREFIX),
                        .gateway = USER_NET_GATEWAY,
                        .dns = resolvers ?: spec->dns};
                if (network_is_bridge(spec->network) && network_guest_addresses(vm, &address, &gateway)) {
                        network.address = address;
                        network.gateway = gateway;
                }
        }
        r = boot_message_build(spec, vm->name, image->config, &network, &message, ret_problem);
        if (r < 0)
                return r;
        r = memfd_sealed("boot", message->data, message->len);
        if (r < 0)
                return problem_set(ret_problem, "NoSpace", NULL, "the boot message: %s", g_strerror(-r));
        return r;
}

int vm_describe(
        Runtime *rt, const char *name, const char *uuid, const VMSpec *spec, char ***ret, Problem **ret_problem) {
        Accelerator accelerator = spec->accelerator;
        g_autofree char *mac = NULL;
        QEMUPlan plan;

        if (accelerator == ACCELERATOR_AUTO)
                accelerator = rt->kvm == KVM_USABLE ? ACCELERATOR_KVM : ACCELERATOR_TCG;
        boot_plan(rt, name, uuid, spec, accelerator, &plan, &mac);
        *ret = qemu_argv(&plan);
        if (!*ret)
                return problem_set(ret_problem, "NotSupported", "Architecture", "Architecture: %s has no machine",
                        spec->architecture);
        return boot_check_tools(rt, spec, ret_problem);
}
