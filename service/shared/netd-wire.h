/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/*
 * mcp-runtimed <-> mcp-netd: /run/mcp-runtime/net, SOCK_SEQPACKET, one struct a message, both ends of one host and one
 * build. The daemon sends struct netd_request, netd answers each with one struct netd_reply in the same order, and says
 * events in the same struct at any time. A message of another size or version is answered once and ends the connection.
 *
 * The daemon's session: HELLO, a BRIDGE_UP for each network, a PORT_KEEP for each VM that lives, SWEEP (what was not
 * named since HELLO goes), then BRIDGE_UP, BRIDGE_DOWN, PORT_ADD and PORT_REMOVE as VMs come and go. A second HELLO on
 * a new connection takes over: the connection before it is closed. Strings end with NUL within their array; what
 * follows is ignored.
 */

#ifndef NETD_SOCKET_PATH /* of a test */
#define NETD_SOCKET_PATH "/run/mcp-runtime/net"
#endif
#define NETD_WIRE_VERSION 1U

#define NETD_INTERFACE_SIZE 16U /* with NUL, as IFNAMSIZ */
#define NETD_UUID_SIZE 37U      /* 36 characters, lower case, and NUL */
#define NETD_SERVICES_MAX 64U
#define NETD_QUEUES_MAX 16U
#define NETD_BRIDGES_MAX 64U
#define NETD_PORTS_MAX 4096U /* of all bridges; a Linux bridge itself takes 1023 */
#define NETD_TEXT_SIZE 256U

enum netd_verb {
        NETD_HELLO = 1,   /* nothing; forgets what was named before */
        NETD_BRIDGE_UP,   /* bridge: makes or joins it; again with other services: changes them */
        NETD_BRIDGE_DOWN, /* bridge.name; removed if managed. Unknown: done. With ports: NETD_BUSY */
        NETD_PORT_ADD,    /* port: a guarded TAP; answers interface and port.queues descriptors */
        NETD_PORT_KEEP,   /* port as once added (queues are ignored): names a living TAP, and puts right what is not */
        NETD_PORT_REMOVE, /* port.uuid. Unknown: done. To be said after every VM: whoever held the TAP may have made it
                             persist */
        NETD_SWEEP,       /* nothing; removes bridges and ports of ours that were not named since HELLO */
        NETD_STATUS,      /* nothing; answers counts and counters */
        NETD_PORT_TRAFFIC, /* port.uuid; answers the traffic of its TAP since that was made */
        NETD_VERBS_END,

        NETD_EVENT_BRIDGE = 100, /* interface, up: the kernel's state has changed; text where netd did something */
        NETD_EVENT_PORT_GONE,    /* interface, uuid: the TAP has disappeared, its last descriptor was closed */
        NETD_EVENT_GUARD,        /* text: the rules had been removed and were put back, or could not be */
};

enum netd_error {
        NETD_OK = 0,
        NETD_INVALID,     /* a field is out of its limits; text says which and what is accepted */
        NETD_NOT_ALLOWED, /* netd's own configuration does not allow that bridge */
        NETD_FOREIGN,     /* an interface of that name exists and is not ours, or is of another kind */
        NETD_IN_USE,      /* VM, MAC, address or subnet belong to another */
        NETD_NOT_FOUND,   /* no such bridge is up, no such TAP lives */
        NETD_BUSY,        /* the bridge has ports */
        NETD_LIMIT,       /* one of the limits above, or the bridge's own */
        NETD_GUARD,       /* the rules could not be put up; nothing was handed out */
        NETD_KERNEL,      /* something else failed; text has the system's words */
        NETD_UNEXPECTED,  /* before HELLO, an unknown verb, version or size */
        NETD_ERRORS_END,
};

/* A port of the gateway that VMs may reach. */
struct netd_service {
        uint16_t port;    /* 1..65535, host byte order */
        uint8_t protocol; /* IPPROTO_TCP or IPPROTO_UDP */
        uint8_t reserved;
};

struct netd_bridge {
        char name[NETD_INTERFACE_SIZE]; /* 1..15 of [A-Za-z0-9_.-], as netd.conf allows */
        uint8_t gateway[4];             /* IPv4, network byte order; zero only with managed = 0 */
        uint8_t prefix;                 /* 8..30; 0 with gateway zero */
        uint8_t managed;                /* 1: made, addressed and removed by netd; 0: exists, is only joined */
        uint8_t isolated;               /* 1: VMs do not reach each other */
        uint8_t n_services;             /* 0..NETD_SERVICES_MAX; 0 with managed = 0 */
        struct netd_service services[NETD_SERVICES_MAX];
};

struct netd_port {
        char uuid[NETD_UUID_SIZE];        /* of the VM, one port each */
        char bridge[NETD_INTERFACE_SIZE]; /* must be up */
        uint8_t reserved;
        uint16_t queues;    /* 1..NETD_QUEUES_MAX; above 1 the TAP is multi-queue */
        uint8_t mac[6];     /* of the guest: unicast, not zero, unique on the bridge */
        uint8_t address[4]; /* of the guest, IPv4, network byte order, a host of the bridge's subnet, unique on it */
        uint8_t reserved2[2];
};

struct netd_request {
        uint32_t version; /* NETD_WIRE_VERSION */
        uint32_t verb;    /* enum netd_verb */
        uint64_t cookie;  /* comes back in the reply */
        union {
                struct netd_bridge bridge;
                struct netd_port port;
        };
};

/* What the guard has dropped since the rules were last put up as a whole, in frames. */
struct netd_counters {
        uint64_t spoofed; /* not the VM's own MAC and IPv4, or ARP for them; IPv6, VLAN tags, BPDUs and all else */
        uint64_t offers;  /* answers of a DHCP server */
        uint64_t crossed; /* to another port of the bridge */
        uint64_t refused; /* to the host, beside the gateway's services */
        uint64_t routed;  /* through the host, in or out */
};

/* Frames of a TAP, in bytes, as its guest sees them. */
struct netd_traffic {
        uint64_t received, sent;
};

struct netd_reply {
        uint32_t version;
        uint32_t verb;                       /* of the request, or the event */
        uint64_t cookie;                     /* of the request; 0 in events */
        uint32_t error;                      /* enum netd_error */
        uint32_t n_fds;                      /* PORT_ADD: descriptors with this message */
        uint32_t n_bridges, n_ports;         /* STATUS: of ours; SWEEP: removed */
        uint8_t up;                          /* BRIDGE_UP, events */
        char interface[NETD_INTERFACE_SIZE]; /* BRIDGE_UP, PORT_ADD, PORT_KEEP, events */
        char uuid[NETD_UUID_SIZE];           /* PORT_*, events */
        uint8_t reserved[2];
        union {
                struct netd_counters counters; /* STATUS */
                struct netd_traffic traffic;   /* PORT_TRAFFIC */
        };
        char text[NETD_TEXT_SIZE];     /* for people; empty where there is nothing to say */
};

_Static_assert(sizeof(struct netd_request) == 296, "the wire has no room for surprises");
_Static_assert(sizeof(struct netd_reply) == 384, "the wire has no room for surprises");
