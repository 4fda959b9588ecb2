/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The field names are the same; what a network, a target and a port mean has changed. */
#include "model/old-state.h"

#include <errno.h>
#include <string.h>

#include "model/port.h"

/* "127.0.0.1:28443:8443" was the host's side too, which a VM with an address of its own does not have. */
static json_t *guest_ports(json_t *ports) {
        json_t *bare = json_array(), *e;
        size_t i;

        json_array_foreach(ports, i, e) {
                const char *text = json_string_value(e);
                PortForward p;

                if (text && port_forward_parse(text, &p) == 0) {
                        g_autofree char *guest = port_bare_to_string(&p);

                        (void) json_array_append_new(bare, json_string(guest));
                } else
                        (void) json_array_append(bare, e); /* its own problem, told by the parser */
        }
        return bare;
}

static json_t *translate(json_t *old, const char *ip, const char *network) {
        static const char *const kept[] = {
                "name", "image", "user", "restart", "volumes", "cmd", "memory_mb", "vcpus", "image_hash", "started"};
        bool bridged = ip && *ip;
        json_t *o = json_pack("{s:s, s:s, s:s, s:i, s:s, s:s}", "target", TARGET_NANOS, "network",
                bridged ? network : NETWORK_USER, "address", bridged ? ip : "", "owner", 0, "owner_name", "root",
                "state", vm_state_to_string(VM_STOPPED));
        json_t *ports = json_object_get(old, "ports");

        for (size_t i = 0; i < G_N_ELEMENTS(kept); i++)
                (void) json_object_set(o, kept[i], json_object_get(old, kept[i]));
        if (bridged && json_is_array(ports))
                (void) json_object_set_new(o, "ports", guest_ports(ports));
        else
                (void) json_object_set(o, "ports", ports);
        (void) json_object_set_new(o, "stop_timeout", json_integer(SPEC_NANOS_STOP_TIMEOUT));
        return o;
}

int old_state_record(const char *name, json_t *old, const char *ip, const char *network, const SpecLimits *limits,
        VMRecord **ret, Problem **ret_problem) {
        const char *own = json_string_value(json_object_get(old, "name"));
        const char *own_ip = json_string_value(json_object_get(old, "ip"));
        json_t *record;
        char *text;
        int r;

        if (!own || strcmp(own, name) != 0)
                return problem_set(
                        ret_problem, "InvalidSpec", "name", "record: field 'name' is not the directory's, '%s'", name);
        record = translate(old, own_ip && *own_ip ? own_ip : ip, network);
        text = json_dumps(record, JSON_COMPACT);
        json_decref(record);
        r = text ? vm_record_parse(text, strlen(text), limits, ret, ret_problem)
                 : problem_set(ret_problem, "InvalidSpec", NULL, "record: it holds text that is no UTF-8");
        free(text);
        return r;
}
