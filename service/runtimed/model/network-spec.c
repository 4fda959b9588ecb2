/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the form of a network, on the bus and on disk. */
#include "model/network-spec.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "model/spec.h"

#define NETWORK_NAME_MAX 32U

bool network_name_is_valid(const char *name) {
        if (strcmp(name, NETWORK_USER) == 0 || strcmp(name, NETWORK_NONE) == 0 || strlen(name) > NETWORK_NAME_MAX)
                return false;
        if (!g_ascii_islower(name[0]) && !g_ascii_isdigit(name[0]))
                return false;
        return name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-")] == 0;
}

/* What the kernel takes as an interface's name (net/core/dev.c, dev_valid_name()), and no '%', which it would expand.
 */
static bool bridge_is_valid(const char *name) {
        if (!*name || strlen(name) >= IFNAMSIZ || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
                return false;
        for (const char *p = name; *p; p++)
                if (!g_ascii_isalnum(*p) && !strchr("_.-", *p))
                        return false;
        return true;
}

static int fail(Problem **ret_problem, const char *key, const char *value, const char *accepted) {
        g_autofree char *shown = problem_quote(value);

        return problem_set(ret_problem, "InvalidSpec", key, "%s: %s: %s", key, shown, accepted);
}

/* "53/udp", "80". */
static int parse_port(const char *text, NetworkPort *ret) {
        const char *slash = strchr(text, '/');
        g_autofree char *number = slash ? g_strndup(text, (gsize) (slash - text)) : g_strdup(text);
        guint64 port;

        if (!g_ascii_string_to_unsigned(number, 10, 1, UINT16_MAX, &port, NULL))
                return -EINVAL;
        if (slash && strcmp(slash, "/tcp") != 0 && strcmp(slash, "/udp") != 0)
                return -EINVAL;
        *ret = (NetworkPort){slash && strcmp(slash, "/udp") == 0 ? PORT_UDP : PORT_TCP, (uint16_t) port};
        return 0;
}

static int parse_ports(NetworkSpec *spec, json_t *array, Problem **ret_problem) {
        json_t *value;
        size_t i;

        if (json_array_size(array) > NETWORK_PORTS_MAX)
                return problem_set(ret_problem, "InvalidSpec", "GatewayPorts",
                        "GatewayPorts: %zu ports, at most %u are accepted", json_array_size(array), NETWORK_PORTS_MAX);
        spec->ports = g_new0(NetworkPort, json_array_size(array) + 1);
        json_array_foreach(array, i, value) {
                const char *text = json_string_value(value);

                if (!text || parse_port(text, &spec->ports[i]) < 0)
                        return fail(ret_problem, "GatewayPorts", text ?: "",
                                "expected PORT[/tcp|/udp] with a number from 1 to 65535");
                spec->n_ports++;
        }
        return 0;
}

static int parse_addresses(NetworkSpec *spec, const char *subnet, const char *gateway, Problem **ret_problem) {
        if (subnet_parse(subnet, &spec->subnet) < 0)
                return fail(ret_problem, "Subnet", subnet, SUBNET_ACCEPTED);
        spec->gateway = spec->subnet.network + 1;
        if (gateway && ipv4_parse(gateway, &spec->gateway) < 0)
                return fail(ret_problem, "Gateway", gateway, "expected an IPv4 address");
        if (!subnet_is_host(spec->subnet, spec->gateway))
                return fail(ret_problem, "Gateway", gateway, "expected a host's address in the subnet");
        return 0;
}

int network_spec_parse(const char *name, json_t *object, NetworkSpec **ret, Problem **ret_problem) {
        g_autoptr(NetworkSpec) spec = g_new0(NetworkSpec, 1);
        const char *bridge = json_string_value(json_object_get(object, "Bridge"));
        const char *subnet = json_string_value(json_object_get(object, "Subnet"));
        const char *gateway = json_string_value(json_object_get(object, "Gateway"));
        int r;

        if (!network_name_is_valid(name))
                return problem_set(
                        ret_problem, "InvalidName", NULL, "no name for a network; expected " NETWORK_NAME_ACCEPTED);
        spec->bridge = bridge ? g_strdup(bridge) : g_strdup_printf("mcp-br-%s", name);
        if (!bridge_is_valid(spec->bridge))
                return fail(ret_problem, "Bridge", spec->bridge, "expected 1 to 15 of [A-Za-z0-9_.-]");
        if (!subnet)
                return problem_set(ret_problem, "InvalidSpec", "Subnet", "Subnet: is required; " SUBNET_ACCEPTED);
        r = parse_addresses(spec, subnet, gateway, ret_problem);
        if (r < 0)
                return r;
        spec->managed = !json_is_false(json_object_get(object, "Managed"));
        spec->isolated = !json_is_false(json_object_get(object, "Isolated"));
        r = parse_ports(spec, json_object_get(object, "GatewayPorts"), ret_problem);
        if (r < 0)
                return r;
        if (!spec->managed && spec->n_ports > 0)
                return problem_set(ret_problem, "InvalidSpec", "GatewayPorts",
                        "GatewayPorts: only a managed bridge has a gateway of ours; leave it out or set Managed");
        *ret = g_steal_pointer(&spec);
        return 0;
}

json_t *network_spec_to_json(const NetworkSpec *spec) {
        g_autofree char *subnet = subnet_to_string(spec->subnet), *gateway = ipv4_to_string(spec->gateway);
        json_t *ports = json_array();

        for (size_t i = 0; i < spec->n_ports; i++)
                (void) json_array_append_new(ports,
                        json_sprintf("%u/%s", spec->ports[i].port, port_protocol_to_string(spec->ports[i].protocol)));
        return json_pack("{s:s, s:s, s:s, s:b, s:o, s:b}", "Bridge", spec->bridge, "Subnet", subnet, "Gateway", gateway,
                "Managed", (int) spec->managed, "GatewayPorts", ports, "Isolated", (int) spec->isolated);
}

void network_spec_free(NetworkSpec *spec) {
        if (!spec)
                return;
        g_free(spec->bridge);
        g_free(spec->ports);
        g_free(spec);
}
