/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "netd/rules.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define BRIDGE_TABLE "bridge " GUARD_TABLE
#define INET_TABLE "inet " GUARD_TABLE

uint32_t port_group(const struct port *p) {
        return PORT_GROUP | (p->isolated ? 0 : PORT_GROUP_OPEN) | (p->managed ? 0 : PORT_GROUP_JOINED);
}

/* Frames from ports. What would lead others' packets elsewhere is not a VM's to send: offers, redirects, source routes;
 * to the host's tables redirects belong to a connection and pass. The hook input has what the bridge takes for itself
 * before prerouting is over: BPDUs and their like. An offer may hide in fragments, but the port is in the first one
 * always. */
static void write_bridge_table(FILE *f) {
        static const char *const counters[] = {"spoofed", "offers", "crossed"};
        static const char *const chains[] = {"guard", "identified"};
        static const char *const hooks[] = {"prerouting", "input", "forward"};

        (void) fprintf(f, "add table " BRIDGE_TABLE "\n");
        for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
                (void) fprintf(f, "add counter " BRIDGE_TABLE " %s\n", counters[i]);
        (void) fprintf(f, "add set " BRIDGE_TABLE " identities { typeof iifname . ether saddr . ip saddr; }\n");
        (void) fprintf(f, "add set " BRIDGE_TABLE " gateways { type ether_addr; }\n");
        (void) fprintf(f, "add element " BRIDGE_TABLE " gateways { ff:ff:ff:ff:ff:ff }\n");
        for (size_t i = 0; i < sizeof chains / sizeof *chains; i++)
                (void) fprintf(
                        f, "add chain " BRIDGE_TABLE " %s\nflush chain " BRIDGE_TABLE " %s\n", chains[i], chains[i]);
        for (size_t i = 0; i < sizeof hooks / sizeof *hooks; i++)
                (void) fprintf(f,
                        "add chain " BRIDGE_TABLE " %s { type filter hook %s priority -300; policy accept; }\n"
                        "flush chain " BRIDGE_TABLE " %s\n",
                        hooks[i], hooks[i], hooks[i]);
}

static void write_bridge_rules(FILE *f) {
        (void) fprintf(f,
                "add rule " BRIDGE_TABLE
                " guard ether type ip iifname . ether saddr . ip saddr @identities goto identified\n"
                "add rule " BRIDGE_TABLE " guard ether type arp arp htype 1 arp ptype ip arp hlen 6 arp plen 4"
                " arp operation { request, reply } iifname . ether saddr . arp saddr ip @identities"
                " iifname . arp saddr ether . arp saddr ip @identities goto identified\n"
                "add rule " BRIDGE_TABLE " guard counter name spoofed drop\n"
                "add rule " BRIDGE_TABLE " identified ether type ip udp sport 67 counter name offers drop\n"
                "add rule " BRIDGE_TABLE " identified ether type ip icmp type redirect counter name spoofed drop\n"
                "add rule " BRIDGE_TABLE " identified ether type ip ip option lsrr exists counter name spoofed drop\n"
                "add rule " BRIDGE_TABLE " identified ether type ip ip option ssrr exists counter name spoofed drop\n"
                "add rule " BRIDGE_TABLE
                " identified meta iifgroup %u ether daddr != @gateways counter name crossed drop\n",
                PORT_GROUP);
        (void) fprintf(f,
                "add rule " BRIDGE_TABLE " prerouting meta iifgroup %u-%u jump guard\n"
                "add rule " BRIDGE_TABLE " input meta iifgroup %u-%u"
                " ether daddr and ff:ff:ff:ff:ff:f0 == 01:80:c2:00:00:00 counter name spoofed drop\n",
                PORT_GROUP, DOOMED_GROUP, PORT_GROUP, DOOMED_GROUP);
        /* The kernel's own isolation of ports comes first; this holds when somebody has taken it off, or has put an
         * interface of the host into a bridge of ours. */
        (void) fprintf(f,
                "add rule " BRIDGE_TABLE " forward meta iifgroup %u counter name crossed drop\n"
                "add rule " BRIDGE_TABLE " forward meta iifgroup %u meta oifgroup != %u counter name crossed drop\n"
                "add rule " BRIDGE_TABLE " forward meta iifgroup %u meta oifgroup %u counter name crossed drop\n",
                PORT_GROUP, PORT_GROUP | PORT_GROUP_OPEN, PORT_GROUP | PORT_GROUP_OPEN, PORT_GROUP | PORT_GROUP_JOINED,
                PORT_GROUP | PORT_GROUP_JOINED);
}

/* Where br_netfilter is loaded, frames between two ports of a bridge come here, too: those of an open bridge are
 * "within" it. */
static void write_inet(FILE *f) {
        (void) fprintf(f, "add table " INET_TABLE "\n"
                          "add counter " INET_TABLE " refused\n"
                          "add counter " INET_TABLE " routed\n"
                          "add set " INET_TABLE " managed { type ifname; }\n"
                          "add set " INET_TABLE " within { typeof iifname . oifname; }\n"
                          "add map " INET_TABLE " bridges { type ifname : verdict; }\n"
                          "add chain " INET_TABLE " input { type filter hook input priority -10; policy accept; }\n"
                          "flush chain " INET_TABLE " input\n"
                          "add chain " INET_TABLE " forward { type filter hook forward priority -10; policy accept; }\n"
                          "flush chain " INET_TABLE " forward\n"
                          "add rule " INET_TABLE " input iifname vmap @bridges\n"
                          "add rule " INET_TABLE " forward iifname . oifname @within accept\n"
                          "add rule " INET_TABLE " forward iifname @managed counter name routed drop\n"
                          "add rule " INET_TABLE " forward oifname @managed counter name routed drop\n");
}

void rules_write_base(FILE *f) {
        write_bridge_table(f);
        write_bridge_rules(f);
        write_inet(f);
}

static void write_services(FILE *f, const struct bridge *b, const char *gateway) {
        if (b->n_services == 0)
                return;
        (void) fprintf(f, "add rule " INET_TABLE " from-%s ip daddr %s meta l4proto . th dport { ", b->name, gateway);
        for (size_t i = 0; i < b->n_services; i++)
                (void) fprintf(f, "%s%s . %" PRIu16, i > 0 ? ", " : "",
                        b->services[i].protocol == IPPROTO_TCP ? "tcp" : "udp", b->services[i].port);
        (void) fprintf(f, " } accept\n");
}

static void write_within(FILE *f, const char *verb, const char *bridge) {
        (void) fprintf(f, "%s element " INET_TABLE " within { \"%s\" . \"%s\" }\n", verb, bridge, bridge);
}

void rules_write_bridge(FILE *f, const struct bridge *b) {
        char gateway[IPV4_TEXT_SIZE], mac[MAC_TEXT_SIZE];
        uint8_t address[6];

        if (!b->managed)
                return;
        ipv4_format(gateway, b->gateway);
        bridge_mac(address, b->name);
        mac_format(mac, address);
        (void) fprintf(f,
                "add chain " INET_TABLE " from-%s\n"
                "flush chain " INET_TABLE " from-%s\n"
                "add rule " INET_TABLE " from-%s ct state established,related accept\n"
                "add rule " INET_TABLE " from-%s ip daddr %s icmp type echo-request limit rate 50/second accept\n",
                b->name, b->name, b->name, b->name, gateway);
        write_services(f, b, gateway);
        (void) fprintf(f,
                "add rule " INET_TABLE " from-%s counter name refused drop\n"
                "add element " INET_TABLE " managed { \"%s\" }\n"
                "add element " INET_TABLE " bridges { \"%s\" : jump from-%s }\n"
                "add element " BRIDGE_TABLE " gateways { %s }\n",
                b->name, b->name, b->name, b->name, mac);
        write_within(f, "add", b->name);
        if (b->isolated)
                write_within(f, "delete", b->name);
}

/* What is not there is added first: deleting it would fail the transaction. */
void rules_write_bridge_removal(FILE *f, const char *bridge) {
        char mac[MAC_TEXT_SIZE];
        uint8_t address[6];

        bridge_mac(address, bridge);
        mac_format(mac, address);
        (void) fprintf(f, "add chain " INET_TABLE " from-%s\n", bridge);
        for (int i = 0; i < 2; i++) {
                const char *verb = i == 0 ? "add" : "delete";

                (void) fprintf(f,
                        "%s element " INET_TABLE " bridges { \"%s\" : jump from-%s }\n"
                        "%s element " INET_TABLE " managed { \"%s\" }\n"
                        "%s element " BRIDGE_TABLE " gateways { %s }\n",
                        verb, bridge, bridge, verb, bridge, verb, mac);
                write_within(f, verb, bridge);
        }
        (void) fprintf(f, "flush chain " INET_TABLE " from-%s\ndelete chain " INET_TABLE " from-%s\n", bridge, bridge);
}

static void write_identity(FILE *f, const char *verb, const struct port *p) {
        char mac[MAC_TEXT_SIZE], address[IPV4_TEXT_SIZE];

        mac_format(mac, p->mac);
        ipv4_format(address, p->address);
        (void) fprintf(f, "%s element " BRIDGE_TABLE " identities { \"%s\" . %s . %s }\n", verb, p->name, mac, address);
}

void rules_write_port(FILE *f, const struct port *p) {
        if (p->identified)
                write_identity(f, "add", p);
}

void rules_write_port_removal(FILE *f, const struct port *p) {
        if (!p->identified)
                return;
        write_identity(f, "add", p);
        write_identity(f, "delete", p);
}

void rules_write_all(FILE *f, const struct net *n) {
        static const char *const tables[] = {BRIDGE_TABLE, INET_TABLE};

        for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
                (void) fprintf(f, "add table %s\ndelete table %s\n", tables[i], tables[i]);
        rules_write_base(f);
        for (size_t i = 0; i < n->n_bridges; i++)
                if (n->bridges[i].wanted)
                        rules_write_bridge(f, &n->bridges[i]);
        for (size_t i = 0; i < n->n_ports; i++)
                rules_write_port(f, &n->ports[i]);
}

size_t rules_parse_identities(char *text, RulesFound found, void *userdata) {
        size_t n = 0;

        for (char *rest = strstr(text, "elements = {"), *entry; rest && (entry = strchr(rest, '"')); rest = entry) {
                char interface[NETD_INTERFACE_SIZE], mac_text[MAC_TEXT_SIZE], address_text[IPV4_TEXT_SIZE];
                uint32_t address;
                uint8_t mac[6];
                int length = 0;

                if (sscanf(entry, "\"%15[^\"]\" . %17[0-9a-f:] . %15[0-9.]%n", interface, mac_text, address_text,
                            &length) == 3 &&
                        mac_parse(mac_text, mac) && ipv4_parse(address_text, &address)) {
                        found(interface, mac, address, userdata);
                        n++;
                }
                entry += length > 0 ? length : 1;
        }
        return n;
}

uint64_t rules_parse_counter(const char *text, const char *name) {
        char start[64];
        uint64_t packets;
        const char *at;

        (void) snprintf(start, sizeof start, "counter %s {", name);
        at = strstr(text, start);
        return at && sscanf(at + strlen(start), " packets %" SCNu64, &packets) == 1 ? packets : 0;
}
