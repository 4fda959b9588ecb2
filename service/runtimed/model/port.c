/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the grammar of a published port, and which of them are privileged or in each other's way. */
#include "model/port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <string.h>

#define PORT_TEXT_MAX 80U
#define PORT_UNPRIVILEGED 1024U

const char *port_protocol_to_string(PortProtocol p) {
        return p == PORT_UDP ? "udp" : "tcp";
}

/* One to five digits, 1..65535, no leading zero: one text for one number; 0 alone where it may stand. */
static int parse_number(const char *text, bool zero, uint16_t *ret) {
        size_t n = strlen(text);
        uint32_t v = 0;

        if (n < 1 || n > 5 || (text[0] == '0' && !(zero && n == 1)))
                return -EINVAL;
        for (size_t i = 0; i < n; i++) {
                if (!g_ascii_isdigit(text[i]))
                        return -EINVAL;
                v = v * 10 + (uint32_t) (text[i] - '0');
        }
        if (v > UINT16_MAX)
                return -EINVAL;
        *ret = (uint16_t) v;
        return 0;
}

static int parse_address(int family, const char *text, char ret[INET6_ADDRSTRLEN]) {
        struct in6_addr a; /* room for either family */

        if (inet_pton(family, text, &a) != 1 || !inet_ntop(family, &a, ret, INET6_ADDRSTRLEN))
                return -EINVAL;
        return 0;
}

/* Cuts "/tcp" or "/udp" off. */
static int take_protocol(char *text, PortProtocol *ret) {
        char *slash = strchr(text, '/');

        *ret = PORT_TCP;
        if (!slash)
                return 0;
        if (g_str_equal(slash, "/udp"))
                *ret = PORT_UDP;
        else if (!g_str_equal(slash, "/tcp"))
                return -EINVAL;
        *slash = '\0';
        return 0;
}

/* Takes "ADDRESS:" off the front; what is left is [host:]guest. */
static int take_address(char **text, char ret[INET6_ADDRSTRLEN]) {
        char *p = *text, *end;

        if (*p == '[') {
                end = strchr(p, ']');
                if (!end || end[1] != ':')
                        return -EINVAL;
                *end = '\0';
                *text = end + 2;
                return parse_address(AF_INET6, p + 1, ret);
        }
        end = strchr(p, ':');
        if (!end || !memchr(p, '.', (size_t) (end - p))) {
                strcpy(ret, "127.0.0.1");
                return 0;
        }
        *end = '\0';
        *text = end + 1;
        return parse_address(AF_INET, p, ret);
}

int port_forward_parse(const char *text, PortForward *ret) {
        char buffer[PORT_TEXT_MAX + 1], *p = buffer, *colon;
        PortForward f = {0};

        if (g_strlcpy(buffer, text, sizeof buffer) >= sizeof buffer)
                return -EINVAL;
        if (take_protocol(p, &f.protocol) < 0 || take_address(&p, f.address) < 0)
                return -EINVAL;

        f.bare = p == buffer && !strchr(p, ':');
        colon = strchr(p, ':');
        if (colon)
                *colon = '\0';
        if (parse_number(p, colon, &f.host) < 0 || parse_number(colon ? colon + 1 : p, false, &f.guest) < 0)
                return -EINVAL;
        *ret = f;
        return 0;
}

char *port_bare_to_string(const PortForward *p) {
        return g_strdup_printf("%u/%s", p->guest, port_protocol_to_string(p->protocol));
}

char *port_forward_to_string(const PortForward *p) {
        bool v6 = strchr(p->address, ':');

        return g_strdup_printf("%s%s%s:%u:%u/%s", v6 ? "[" : "", p->address, v6 ? "]" : "", p->host, p->guest,
                port_protocol_to_string(p->protocol));
}

/* The wildcard of IPv6 takes the IPv4 port, too. */
static bool is_wildcard(const char *address) {
        return g_str_equal(address, "0.0.0.0") || g_str_equal(address, "::");
}

bool port_forward_conflicts(const PortForward *a, const PortForward *b) {
        return a->protocol == b->protocol && a->host == b->host && a->host != 0 &&
               (g_str_equal(a->address, b->address) || is_wildcard(a->address) || is_wildcard(b->address));
}

static bool is_loopback(const char *address) {
        return g_str_has_prefix(address, "127.") || g_str_equal(address, "::1");
}

bool port_forward_is_privileged(const PortForward *p) {
        return (p->host != 0 && p->host < PORT_UNPRIVILEGED) || !is_loopback(p->address);
}
