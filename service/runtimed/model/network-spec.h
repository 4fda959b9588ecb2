/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "model/port.h"
#include "model/problem.h"
#include "model/subnet.h"

/* What a network is: of CreateNetwork, and of its record on disk (the same keys). */

typedef struct NetworkPort {
        PortProtocol protocol;
        uint16_t port;
} NetworkPort;

typedef struct NetworkSpec {
        char *bridge; /* interface name */
        Subnet subnet;
        uint32_t gateway;   /* host byte order */
        bool managed;       /* made and removed by us; else a bridge of the host that is only joined */
        bool isolated;      /* VMs do not reach each other */
        NetworkPort *ports; /* of the gateway, that VMs may reach */
        size_t n_ports;
} NetworkSpec;

#define NETWORK_PORTS_MAX 64U
#define NETWORK_NAME_ACCEPTED "a lower-case letter or digit, then up to 31 of [a-z0-9_-], and not 'user' or 'none'"

bool network_name_is_valid(const char *name);

/* Keys Bridge s, Subnet s, Gateway s, Managed b, GatewayPorts as, Isolated b; -EINVAL with a problem that names the
 * key. Bridge: "mcp-NAME" (at most 15 characters), Gateway: the subnet's first host, Managed: true, Isolated: true when
 * left out. */
int network_spec_parse(const char *name, json_t *object, NetworkSpec **ret, Problem **ret_problem);
json_t *network_spec_to_json(const NetworkSpec *spec);
void network_spec_free(NetworkSpec *spec);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NetworkSpec, network_spec_free)
