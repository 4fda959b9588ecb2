/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A published port: "[address:][host:]guest[/tcp|/udp]", IPv6 in brackets; one number means the same on both sides;
 * address 127.0.0.1 when left out, host port 0 for one that is picked at each start. Nothing but digits and an address
 * is taken: no signs, spaces, names, ranges. */

typedef enum PortProtocol {
        PORT_TCP,
        PORT_UDP,
} PortProtocol;

typedef struct PortForward {
        PortProtocol protocol;
        char address[46]; /* canonical text of inet_ntop(), INET6_ADDRSTRLEN */
        uint16_t host;    /* 1..65535, 0: to be picked */
        uint16_t guest;   /* 1..65535 */
        bool bare;        /* the guest's port alone was given: all that a port on a bridge has */
} PortForward;

const char *port_protocol_to_string(PortProtocol p);

/* 0, or -EINVAL (the caller says "Ports: 'TEXT': PORT_ACCEPTED"). */
int port_forward_parse(const char *text, PortForward *ret);
#define PORT_ACCEPTED                                                                                                  \
        "expected [address:][host:]guest[/tcp|/udp] with numbers from 1 to 65535 (host 0: a free one is picked), an "  \
        "IPv6 address in brackets"

/* "80/tcp", of a port on a bridge. Caller frees (g_free). */
char *port_bare_to_string(const PortForward *p);

/* Canonical text, "127.0.0.1:8080:80/tcp". Caller frees (g_free). */
char *port_forward_to_string(const PortForward *p);

/* Same protocol and host port, and addresses that are equal or of which one is the wildcard. */
bool port_forward_conflicts(const PortForward *a, const PortForward *b);

/* Neither loopback nor unprivileged: asks publish-port. */
bool port_forward_is_privileged(const PortForward *p);
