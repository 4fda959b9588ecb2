/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is public of a VM. A broken record has neutral values and says so in StateReason. */
#include "bus/properties.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus/bus.h"
#include "core/vm.h"
#include "model/name.h"
#include "qemu/argv.h"

typedef const char *(*GetString)(const VM *vm);
typedef uint64_t (*GetNumber)(const VM *vm);

#define RECORD_STRING(function, expression, fallback)                                                                  \
        static const char *function(const VM *vm) {                                                                    \
                const VMRecord *r = vm->record;                                                                        \
                                                                                                                       \
                return r ? (expression) : (fallback);                                                                  \
        }
#define RECORD_NUMBER(function, expression)                                                                            \
        static uint64_t function(const VM *vm) {                                                                       \
                const VMRecord *r = vm->record;                                                                        \
                                                                                                                       \
                return r ? (uint64_t) (expression) : 0;                                                                \
        }

static const char *get_name(const VM *vm) {
        return vm->name;
}

static const char *get_state(const VM *vm) {
        return vm_state_to_string(vm_state(vm));
}

static uint64_t get_owner(const VM *vm) {
        return vm_owner(vm);
}

static uint64_t get_ready(const VM *vm) {
        return vm->ready;
}

static const char *get_health(const VM *vm) {
        return vm_health_to_string(vm->health);
}

static uint64_t get_memory_target(const VM *vm) {
        return vm->memory_target;
}

static uint64_t get_memory_actual(const VM *vm) {
        return vm->memory_actual;
}

static uint64_t get_main_pid(const VM *vm) {
        return vm->main_pid;
}

RECORD_STRING(get_uuid, r->uuid, "")
RECORD_STRING(get_image, r->spec->image, "")
RECORD_STRING(get_image_digest, r->image_digest, "")
RECORD_STRING(get_image_hash, r->image_hash, "")
RECORD_STRING(get_target, r->spec->target, "")
RECORD_STRING(get_exit_reason, exit_reason_to_string(r->exit_reason), "")
RECORD_STRING(get_address, r->address, "")
RECORD_STRING(get_restart, r->spec->restart, "")
RECORD_STRING(get_network, r->spec->network, "")
RECORD_STRING(get_architecture, r->spec->architecture, "")
RECORD_STRING(get_accelerator, r->accelerator, "")
RECORD_STRING(get_profile, r->profile, "")
RECORD_NUMBER(get_exit_code, r->exit_code)
RECORD_NUMBER(get_memory, r->spec->memory_mib)
RECORD_NUMBER(get_vcpus, r->spec->vcpus)
RECORD_NUMBER(get_created_at, r->created_at)
RECORD_NUMBER(get_started_at, r->started_at)
RECORD_NUMBER(get_exited_at, r->exited_at)
RECORD_NUMBER(get_boot_id, r->boot_id)
RECORD_NUMBER(get_restart_count, r->restart_count)

static const struct {
        const char *name;
        char type;
        GetString string;
        GetNumber number;
} simple[] = {
        {"Name", 's', get_name, NULL},
        {"UUID", 's', get_uuid, NULL},
        {"Owner", 'u', NULL, get_owner},
        {"Image", 's', get_image, NULL},
        {"ImageDigest", 's', get_image_digest, NULL},
        {"ImageHash", 's', get_image_hash, NULL},
        {"Target", 's', get_target, NULL},
        {"State", 's', get_state, NULL},
        {"StateReason", 's', vm_state_reason, NULL},
        {"Ready", 'b', NULL, get_ready},
        {"Health", 's', get_health, NULL},
        {"ExitCode", 'i', NULL, get_exit_code},
        {"ExitReason", 's', get_exit_reason, NULL},
        {"Restart", 's', get_restart, NULL},
        {"RestartCount", 'u', NULL, get_restart_count},
        {"Network", 's', get_network, NULL},
        {"Address", 's', get_address, NULL}, /* "" with user networking: the host could not use it */
        {"MemoryMiB", 'u', NULL, get_memory},
        {"MemoryTarget", 't', NULL, get_memory_target},
        {"MemoryActual", 't', NULL, get_memory_actual},
        {"VCPUs", 'u', NULL, get_vcpus},
        {"Architecture", 's', get_architecture, NULL},
        {"Accelerator", 's', get_accelerator, NULL},
        {"Profile", 's', get_profile, NULL},
        {"MainPID", 'u', NULL, get_main_pid},
        {"CreatedAt", 't', NULL, get_created_at},
        {"StartedAt", 't', NULL, get_started_at},
        {"ExitedAt", 't', NULL, get_exited_at},
        {"BootId", 'u', NULL, get_boot_id},
};

static int append_number(sd_bus_message *reply, char type, uint64_t v) {
        switch (type) {
        case 'b':
                return sd_bus_message_append(reply, "b", (int) (v != 0));
        case 'i':
                return sd_bus_message_append(reply, "i", (int32_t) v);
        case 'u':
                return sd_bus_message_append(reply, "u", (uint32_t) v);
        default:
                return sd_bus_message_append(reply, "t", v);
        }
}

static int append_ports(sd_bus_message *reply, const VM *vm) {
        int r = sd_bus_message_open_container(reply, 'a', "(ssqq)");

        for (size_t i = 0; vm->record && i < vm->record->spec->n_ports && r >= 0; i++) {
                const PortForward *p = &vm->record->spec->ports[i];
                bool bare = network_is_bridge(vm->record->spec->network);

                if (bare) {
                        r = sd_bus_message_append(
                                reply, "(ssqq)", port_protocol_to_string(p->protocol), "", (uint16_t) 0, p->guest);
                        continue;
                }
                r = sd_bus_message_append(reply, "(ssqq)", port_protocol_to_string(p->protocol), p->address,
                        vm->record->host_ports ? vm->record->host_ports[i] : p->host, p->guest);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_labels(sd_bus_message *reply, const VM *vm) {
        int r = sd_bus_message_open_container(reply, 'a', "{ss}");
        GHashTableIter iter;
        gpointer key, value;

        if (vm->record && vm->record->spec->labels) {
                g_hash_table_iter_init(&iter, vm->record->spec->labels);
                while (r >= 0 && g_hash_table_iter_next(&iter, &key, &value))
                        r = sd_bus_message_append(reply, "{ss}", key, value);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_string(sd_bus_message *reply, char *taken) {
        int r = sd_bus_message_append(reply, "s", taken ?: "");

        g_free(taken);
        return r;
}

static char *mac_of(const VMRecord *r) {
        if (strcmp(r->spec->network, NETWORK_NONE) == 0)
                return NULL;
        return *r->mac ? g_strdup(r->mac) : mac_from_name(r->name);
}

/* Where the host reaches the first port of a VM on a bridge. */
static char *endpoint_of(const VMRecord *r) {
        if (!*r->address || r->spec->n_ports == 0)
                return NULL;
        return g_strdup_printf("%s:%u", r->address, r->spec->ports[0].guest);
}

static int append_job(sd_bus_message *reply, const VM *vm) {
        char *path = vm->job ? bus_job_path(vm->job) : NULL;
        int r = sd_bus_message_append(reply, "o", path ?: "/");

        free(path);
        return r;
}

int vm_get_property(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
        void *userdata, sd_bus_error *error) {
        const VM *vm = userdata;
        const VMRecord *record = vm->record;

        for (size_t i = 0; i < G_N_ELEMENTS(simple); i++) {
                if (strcmp(simple[i].name, property) != 0)
                        continue;
                if (simple[i].string)
                        return sd_bus_message_append(reply, "s", simple[i].string(vm));
                return append_number(reply, simple[i].type, simple[i].number(vm));
        }
        if (strcmp(property, "Ports") == 0)
                return append_ports(reply, vm);
        if (strcmp(property, "Labels") == 0)
                return append_labels(reply, vm);
        if (strcmp(property, "JobPath") == 0)
                return append_job(reply, vm);
        if (strcmp(property, "Version") == 0)
                return append_string(
                        reply, record && *record->spec->image ? image_reference_tag(record->spec->image) : NULL);
        if (strcmp(property, "MACAddress") == 0)
                return append_string(reply, record ? mac_of(record) : NULL);
        if (strcmp(property, "Endpoint") == 0)
                return append_string(reply, record ? endpoint_of(record) : NULL);
        if (strcmp(property, "Unit") == 0)
                return append_string(reply, record ? vm_unit(vm) : NULL);
        return -ENOENT;
}
