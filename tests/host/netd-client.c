/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* netd-client [SOCKET]: plays the daemon, and the guests behind its TAPs. Reads commands from standard input and
 * answers each with one line: "ok ...", or the error's name and text. Used by netd.test. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netd-link.h"
#include "shared/fd.h"

#define WORDS_MAX 80U
#define TAPS_MAX 1024U
#define FRAME_MAX 2048U

static struct tap {
        char name[NETD_INTERFACE_SIZE];
        size_t n;
        int fds[NETD_QUEUES_MAX];
} taps[TAPS_MAX];
static size_t n_taps;
static int sock = -1;
static const char *path;
static char events[4096];

static const char *const errors[] = {"ok", "Invalid", "NotAllowed", "Foreign", "InUse", "NotFound", "Busy", "Limit",
        "Guard", "Kernel", "Unexpected"};
_Static_assert(sizeof errors / sizeof *errors == NETD_ERRORS_END, "a name for each");

static void note_event(const struct netd_reply *e) {
        const char *kind = e->verb == NETD_EVENT_BRIDGE ? "bridge" : e->verb == NETD_EVENT_PORT_GONE ? "gone" : "guard";
        const char *const words[] = {kind, e->interface, e->uuid,
                e->verb != NETD_EVENT_BRIDGE ? ""
                : e->up                      ? "up"
                                             : "down",
                e->text};
        size_t used = strlen(events);

        (void) snprintf(events + used, sizeof events - used, " [");
        for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
                used = strlen(events);
                if (*words[i])
                        (void) snprintf(events + used, sizeof events - used, "%s%s", i > 0 ? " " : "", words[i]);
        }
        used = strlen(events);
        (void) snprintf(events + used, sizeof events - used, "]");
}

static struct tap *find_tap(const char *name) {
        for (size_t i = 0; i < n_taps; i++)
                if (strcmp(taps[i].name, name) == 0)
                        return &taps[i];
        return NULL;
}

static void close_tap(struct tap *t) {
        for (size_t i = 0; i < t->n; i++)
                (void) close(t->fds[i]);
        *t = taps[--n_taps];
}

/* ---- requests ----------------------------------------------------------------------------------- */

static void call(struct netd_request *request) {
        int fds[NETD_QUEUES_MAX], r;
        struct netd_reply reply;

        r = sock < 0 ? -ENOTCONN : link_call(sock, request, &reply, fds, note_event);
        if (r < 0) {
                (void) printf("failed %s\n", strerror(-r));
                return;
        }
        if (reply.error != NETD_OK) {
                (void) printf("%s %s\n", reply.error < NETD_ERRORS_END ? errors[reply.error] : "?", reply.text);
                return;
        }
        if (reply.n_fds > 0 && n_taps < TAPS_MAX) {
                struct tap *t = &taps[n_taps++];

                memcpy(t->name, reply.interface, sizeof t->name);
                memcpy(t->fds, fds, sizeof fds);
                t->n = reply.n_fds;
        }
        if (request->verb == NETD_STATUS)
                (void) printf("ok bridges=%u ports=%u spoofed=%lu offers=%lu crossed=%lu refused=%lu routed=%lu\n",
                        reply.n_bridges, reply.n_ports, reply.counters.spoofed, reply.counters.offers,
                        reply.counters.crossed, reply.counters.refused, reply.counters.routed);
        else if (request->verb == NETD_SWEEP)
                (void) printf("ok removed %u bridges, %u ports\n", reply.n_bridges, reply.n_ports);
        else if (*reply.interface)
                (void) printf("ok %s\n", reply.interface);
        else
                (void) printf("ok\n");
}

/* Everything a test may want to be wrong is passed on as it is: the array is filled to its end, even without a NUL. */
static void fill_array(char *ret, size_t size, const char *text) {
        size_t len = strnlen(text, size);

        memset(ret, 0, size);
        memcpy(ret, text, len);
}

static void set_mac(uint8_t ret[static 6], const char *text) {
        memset(ret, 0, 6);
        (void) sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &ret[0], &ret[1], &ret[2], &ret[3], &ret[4], &ret[5]);
}

static void set_address(uint8_t ret[static 4], const char *text) {
        memset(ret, 0, 4);
        (void) inet_pton(AF_INET, text, ret);
}

/* bridge-up NAME GATEWAY PREFIX managed|joined isolated|open [PROTOCOL PORT]... */
static void bridge_request(struct netd_request *q, char **w, size_t n) {
        fill_array(q->bridge.name, sizeof q->bridge.name, w[1]);
        if (n < 6)
                return;
        set_address(q->bridge.gateway, w[2]);
        q->bridge.prefix = (uint8_t) atoi(w[3]);
        q->bridge.managed = strcmp(w[4], "managed") == 0;
        q->bridge.isolated = strcmp(w[5], "isolated") == 0;
        for (size_t i = 6; i + 1 < n && q->bridge.n_services < NETD_SERVICES_MAX; i += 2) {
                struct netd_service *s = &q->bridge.services[q->bridge.n_services++];

                s->protocol = strcmp(w[i], "tcp") == 0 ? IPPROTO_TCP : strcmp(w[i], "udp") == 0 ? IPPROTO_UDP : 0;
                s->port = (uint16_t) atoi(w[i + 1]);
        }
}

/* add UUID BRIDGE MAC ADDRESS QUEUES */
static void port_request(struct netd_request *q, char **w, size_t n) {
        fill_array(q->port.uuid, sizeof q->port.uuid, w[1]);
        if (n < 5)
                return;
        fill_array(q->port.bridge, sizeof q->port.bridge, w[2]);
        set_mac(q->port.mac, w[3]);
        set_address(q->port.address, w[4]);
        q->port.queues = (uint16_t) (n > 5 ? atoi(w[5]) : 1);
}

/* ---- frames ------------------------------------------------------------------------------------- */

static uint16_t checksum(const void *data, size_t size, uint32_t sum) {
        const uint8_t *p = data;

        for (size_t i = 0; i < size; i++)
                sum += i % 2 == 0 ? (uint32_t) p[i] << 8 : p[i];
        while (sum >> 16)
                sum = (sum & 0xffff) + (sum >> 16);
        return htons((uint16_t) ~sum);
}

struct frame {
        struct virtio_net_hdr vnet;
        uint8_t bytes[FRAME_MAX];
        size_t len;
};

static void append(struct frame *f, const void *data, size_t size) {
        memcpy(f->bytes + f->len, data, size);
        f->len += size;
}

static void append_ethernet(struct frame *f, const char *to, const char *from, uint16_t type) {
        struct ethhdr e = {.h_proto = htons(type)};

        set_mac(e.h_dest, to);
        set_mac(e.h_source, from);
        append(f, &e, sizeof e);
}

static void append_ip(struct frame *f, const char *from, const char *to, uint8_t protocol, size_t payload) {
        struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = protocol};

        ip.tot_len = htons((uint16_t) (sizeof ip + payload));
        ip.saddr = inet_addr(from);
        ip.daddr = inet_addr(to);
        ip.check = checksum(&ip, sizeof ip, 0);
        append(f, &ip, sizeof ip);
}

/* udp TAP TO-MAC FROM-MAC FROM-IP FROM-PORT TO-IP TO-PORT TEXT */
static void make_udp(struct frame *f, char **w) {
        struct udphdr udp = {.source = htons((uint16_t) atoi(w[5])), .dest = htons((uint16_t) atoi(w[7]))};

        udp.len = htons((uint16_t) (sizeof udp + strlen(w[8]))); /* checksum 0: none */
        append_ethernet(f, w[2], w[3], ETH_P_IP);
        append_ip(f, w[4], w[6], IPPROTO_UDP, sizeof udp + strlen(w[8]));
        append(f, &udp, sizeof udp);
        append(f, w[8], strlen(w[8]));
}

/* ping TAP TO-MAC FROM-MAC FROM-IP TO-IP */
static void make_ping(struct frame *f, char **w) {
        struct icmphdr icmp = {.type = ICMP_ECHO};

        icmp.checksum = checksum(&icmp, sizeof icmp, 0);
        append_ethernet(f, w[2], w[3], ETH_P_IP);
        append_ip(f, w[4], w[5], IPPROTO_ICMP, sizeof icmp);
        append(f, &icmp, sizeof icmp);
}

/* arp TAP FROM-MAC SENDER-MAC SENDER-IP TARGET-IP request|reply */
static void make_arp(struct frame *f, char **w) {
        struct arphdr arp = {.ar_hrd = htons(ARPHRD_ETHER), .ar_pro = htons(ETH_P_IP), .ar_hln = 6, .ar_pln = 4};
        uint8_t body[20] = {};

        arp.ar_op = htons(strcmp(w[6], "reply") == 0 ? ARPOP_REPLY : ARPOP_REQUEST);
        set_mac(body, w[3]);
        set_address(body + 6, w[4]);
        set_address(body + 16, w[5]);
        append_ethernet(f, "ff:ff:ff:ff:ff:ff", w[2], ETH_P_ARP);
        append(f, &arp, sizeof arp);
        append(f, body, sizeof body);
}

/* ether TAP TO-MAC FROM-MAC TYPE HEX: anything */
static void make_ether(struct frame *f, char **w) {
        unsigned byte;

        append_ethernet(f, w[2], w[3], (uint16_t) strtoul(w[4], NULL, 16));
        for (const char *hex = w[5]; f->len < FRAME_MAX && sscanf(hex, "%2x", &byte) == 1; hex += 2)
                f->bytes[f->len++] = (uint8_t) byte;
}

/* vlan: as udp, within a tag */
static void make_vlan(struct frame *f, char **w) {
        const uint8_t tag[4] = {0x81, 0x00, 0x00, 0x05};

        make_udp(f, w);
        memmove(f->bytes + 16, f->bytes + 12, f->len - 12);
        memcpy(f->bytes + 12, tag, sizeof tag);
        f->len += sizeof tag;
}

static void send_frame(char **w, size_t n) {
        static const struct {
                const char *name;
                size_t n_words;
                void (*make)(struct frame *f, char **w);
        } kinds[] = {
                {"udp", 9, make_udp},
                {"vlan", 9, make_vlan},
                {"ping", 6, make_ping},
                {"arp", 7, make_arp},
                {"ether", 6, make_ether},
        };
        struct frame f = {};
        struct tap *t = n > 1 ? find_tap(w[1]) : NULL;

        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
                if (strcmp(kinds[i].name, w[0]) == 0 && n >= kinds[i].n_words)
                        kinds[i].make(&f, w);
        while (f.len > 0 && f.len < ETH_ZLEN)
                f.bytes[f.len++] = 0;
        if (!t || f.len == 0)
                (void) printf("usage\n");
        else if (write(t->fds[0], &f, offsetof(struct frame, bytes) + f.len) < 0)
                (void) printf("failed %s\n", strerror(errno));
        else
                (void) printf("ok\n");
}

/* What a person, or a pattern in a test, wants to know of a frame. */
static void print_frame(const uint8_t *p, size_t len) {
        uint16_t type = (uint16_t) (p[12] << 8 | p[13]);
        char from[16], to[16];

        if (len < 34 || (type != ETH_P_IP && type != ETH_P_ARP)) {
                (void) printf(" [%04x]", type);
                return;
        }
        (void) inet_ntop(AF_INET, p + (type == ETH_P_IP ? 26 : 28), from, sizeof from);
        (void) inet_ntop(AF_INET, p + (type == ETH_P_IP ? 30 : 38), to, sizeof to);
        if (type == ETH_P_ARP)
                (void) printf(" [arp-%s %s %s]", p[21] == ARPOP_REPLY ? "reply" : "request", from, to);
        else if (p[23] == IPPROTO_ICMP)
                (void) printf(" [icmp-%u %s %s]", p[34], from, to);
        else
                (void) printf(" [%u %s:%u %s:%u]", p[23], from, p[34] << 8 | p[35], to, p[36] << 8 | p[37]);
}

/* frames TAP MILLISECONDS: what has come, until nothing comes for so long */
static void receive_frames(char **w, size_t n) {
        struct tap *t = n > 2 ? find_tap(w[1]) : NULL;
        struct pollfd fds[NETD_QUEUES_MAX];

        (void) printf(t ? "ok" : "usage");
        for (size_t i = 0; t && i < t->n; i++)
                fds[i] = (struct pollfd){.fd = t->fds[i], .events = POLLIN};
        while (t && poll(fds, t->n, atoi(w[2])) > 0) {
                size_t before = n;

                for (size_t i = 0; i < t->n; i++) {
                        struct frame f = {};
                        ssize_t got = read(t->fds[i], &f, offsetof(struct frame, len));

                        if (got > (ssize_t) (offsetof(struct frame, bytes) + ETH_HLEN)) {
                                print_frame(f.bytes, (size_t) got - offsetof(struct frame, bytes));
                                n++;
                        }
                }
                if (n == before)
                        break;
        }
        (void) printf("\n");
}

/* ---- the rest ----------------------------------------------------------------------------------- */

static void reconnect(void) {
        sock = close_fd(sock);
        sock = link_connect(path);
        (void) printf(sock < 0 ? "failed %s\n" : "ok\n", strerror(-sock));
}

/* garbage SIZE [VERSION]: a message of that many bytes; the answer, and whether the connection is still there */
static void send_garbage(char **w, size_t n) {
        struct netd_reply reply = {};
        uint8_t bytes[4096] = {};
        int fds[NETD_QUEUES_MAX];
        size_t n_fds;
        int r;

        if (n > 2)
                bytes[0] = (uint8_t) atoi(w[2]);
        (void) send(sock, bytes, (size_t) atoi(w[1]), MSG_NOSIGNAL);
        r = link_receive(sock, 2000, &reply, fds, &n_fds);
        if (r < 0) {
                (void) printf("failed %s\n", strerror(-r));
                return;
        }
        r = link_receive(sock, 2000, &reply, fds, &n_fds);
        (void) printf("%s %s\n", errors[reply.error], r == -ECONNRESET ? "closed" : "open");
}

/* forge TAP MAC, persist TAP: what the holder of a TAP's descriptor may do to it without any right */
static void change_tap(char **w, size_t n) {
        struct tap *t = n > 1 ? find_tap(w[1]) : NULL;
        struct ifreq request = {.ifr_hwaddr.sa_family = ARPHRD_ETHER};
        int r = -1;

        errno = EINVAL;
        if (t && n > 2) {
                set_mac((uint8_t *) request.ifr_hwaddr.sa_data, w[2]);
                r = ioctl(t->fds[0], SIOCSIFHWADDR, &request);
        } else if (t)
                r = ioctl(t->fds[0], TUNSETPERSIST, 1);
        (void) printf(r < 0 ? "failed %s\n" : "ok\n", strerror(errno));
}

static void wait_events(int milliseconds) {
        struct netd_reply event;
        int fds[NETD_QUEUES_MAX];
        size_t n_fds;

        while (link_receive(sock, milliseconds, &event, fds, &n_fds) >= 0)
                note_event(&event);
        (void) printf("ok%s\n", events);
        *events = 0;
}

static void command(char **w, size_t n) {
        static const char *const verbs[] = {[NETD_HELLO] = "hello",
                [NETD_BRIDGE_UP] = "bridge-up",
                [NETD_BRIDGE_DOWN] = "bridge-down",
                [NETD_PORT_ADD] = "add",
                [NETD_PORT_KEEP] = "keep",
                [NETD_PORT_REMOVE] = "remove",
                [NETD_SWEEP] = "sweep",
                [NETD_STATUS] = "status",
                [NETD_PORT_TRAFFIC] = "traffic"};
        struct netd_request request = {};

        for (uint32_t i = NETD_HELLO; i < NETD_VERBS_END; i++)
                if (strcmp(verbs[i], w[0]) == 0)
                        request.verb = i;
        if (request.verb == 0 && strcmp(w[0], "verb") == 0 && n > 1)
                request.verb = (uint32_t) atoi(w[1]);
        if (n > 1 && (request.verb == NETD_BRIDGE_UP || request.verb == NETD_BRIDGE_DOWN))
                bridge_request(&request, w, n);
        else if (n > 1 && ((request.verb >= NETD_PORT_ADD && request.verb <= NETD_PORT_REMOVE) || request.verb == NETD_PORT_TRAFFIC))
                port_request(&request, w, n);
        if (request.verb != 0)
                call(&request);
        else if (strcmp(w[0], "connect") == 0)
                reconnect();
        else if (strcmp(w[0], "garbage") == 0 && n > 1)
                send_garbage(w, n);
        else if (strcmp(w[0], "events") == 0)
                wait_events(n > 1 ? atoi(w[1]) : 200);
        else if (strcmp(w[0], "forge") == 0 || strcmp(w[0], "persist") == 0)
                change_tap(w, n);
        else if (strcmp(w[0], "frames") == 0)
                receive_frames(w, n);
        else if (strcmp(w[0], "close") == 0 && n > 1 && find_tap(w[1])) {
                close_tap(find_tap(w[1]));
                (void) printf("ok\n");
        } else
                send_frame(w, n);
}

int main(int argc, char *argv[]) {
        char line[4096];

        path = argc > 1 ? argv[1] : NULL;
        (void) setvbuf(stdout, NULL, _IOLBF, 0);
        reconnect();
        while (fgets(line, sizeof line, stdin)) {
                char *words[WORDS_MAX], *rest = line;
                size_t n = 0;

                for (char *word; n < WORDS_MAX && (word = strsep(&rest, " \n"));)
                        if (*word)
                                words[n++] = word;
                if (n > 0)
                        command(words, n);
        }
        return 0;
}
