/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "netd/kernel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if.h>
#include <linux/if_bridge.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define BATCH_MAX 64U
#define LINK_LOCAL_MASK                                                                                                \
        0xfffdU /* 01:80:c2:00:00:00 to 0f take the way of all frames; but pause frames, which end here */

/* Requests that go to the kernel in one message, and are done in their order. */
struct batch {
        struct nl_msg *messages[BATCH_MAX];
        size_t n;
        bool failed;
};

static int keep_error(struct sockaddr_nl *from, struct nlmsgerr *error, void *userdata) {
        struct kernel *k = userdata;

        k->error = error->error;
        return NL_STOP;
}

/* libnl's own error numbers lose what the kernel said; that is kept by keep_error(). */
static int result(struct kernel *k, int r) {
        int error = k->error;

        k->error = 0;
        if (error < 0)
                return error;
        if (r >= 0)
                return 0;
        k->out_of_step = true;
        return r == -NLE_NOMEM ? -ENOMEM : -EIO;
}

static int connect_socket(struct kernel *k) {
        struct nl_cb *cb = NULL;
        int r;

        k->sock = nl_socket_alloc();
        if (!k->sock)
                return -ENOMEM;
        cb = nl_socket_get_cb(k->sock);
        if (cb)
                (void) nl_cb_err(cb, NL_CB_CUSTOM, keep_error, k);
        nl_cb_put(cb);
        nl_socket_disable_seq_check(k->sock);
        nl_socket_disable_auto_ack(k->sock); /* batch_run() asks for them itself */
        r = nl_connect(k->sock, NETLINK_ROUTE);
        if (r < 0) {
                kernel_close(k);
                return -EIO;
        }
        k->out_of_step = false;
        return 0;
}

int kernel_open(struct kernel *k) {
        *k = (struct kernel){.has_ipv6 = access("/proc/self/net/if_inet6", F_OK) == 0};
        return connect_socket(k);
}

/* An answer that could not be taken still comes, and would be taken for that to the next question: another socket has none. */
static int step(struct kernel *k) {
        if (k->sock && !k->out_of_step)
                return 0;
        kernel_close(k);
        return connect_socket(k);
}

void kernel_close(struct kernel *k) {
        if (k->sock)
                nl_socket_free(k->sock);
        k->sock = NULL;
}

static void copy_attribute(char *ret, size_t size, const struct nlattr *a) {
        text_copy(ret, size, a ? nla_get_string(a) : NULL);
}

bool link_from_message(struct nlmsghdr *header, struct link *ret) {
        static struct nla_policy policy[IFLA_MAX + 1] = {
                [IFLA_IFNAME] = {.type = NLA_STRING},
                [IFLA_IFALIAS] = {.type = NLA_STRING},
                [IFLA_MASTER] = {.type = NLA_U32},
                [IFLA_GROUP] = {.type = NLA_U32},
                [IFLA_LINKINFO] = {.type = NLA_NESTED},
        };
        struct nlattr *a[IFLA_MAX + 1], *info[IFLA_INFO_MAX + 1] = {};
        const struct ifinfomsg *link;

        if ((header->nlmsg_type != RTM_NEWLINK && header->nlmsg_type != RTM_DELLINK) ||
                nlmsg_parse(header, sizeof *link, a, IFLA_MAX, policy) < 0)
                return false;
        link = nlmsg_data(header);
        if (link->ifi_family != AF_UNSPEC || !a[IFLA_IFNAME])
                return false;
        if (a[IFLA_LINKINFO] && nla_parse_nested(info, IFLA_INFO_MAX, a[IFLA_LINKINFO], NULL) < 0)
                return false;
        *ret = (struct link){
                .ifindex = (unsigned) link->ifi_index,
                .master = a[IFLA_MASTER] ? nla_get_u32(a[IFLA_MASTER]) : 0,
                .flags = link->ifi_flags,
                .group = a[IFLA_GROUP] ? nla_get_u32(a[IFLA_GROUP]) : 0,
        };
        if (a[IFLA_ADDRESS] && nla_len(a[IFLA_ADDRESS]) == sizeof ret->mac)
                memcpy(ret->mac, nla_data(a[IFLA_ADDRESS]), sizeof ret->mac);
        copy_attribute(ret->name, sizeof ret->name, a[IFLA_IFNAME]);
        copy_attribute(ret->kind, sizeof ret->kind, info[IFLA_INFO_KIND]);
        copy_attribute(ret->alias, sizeof ret->alias, a[IFLA_IFALIAS]);
        return true;
}

/* Sends one question and gives each answer to found. Frees the message, which may be NULL. */
static int ask(struct kernel *k, struct nl_msg *question, nl_recvmsg_msg_cb_t found, void *userdata) {
        int r;

        if (!question)
                return -ENOMEM;
        r = step(k);
        if (r < 0) {
                nlmsg_free(question);
                return r;
        }
        (void) nl_socket_modify_cb(k->sock, NL_CB_VALID, NL_CB_CUSTOM, found, userdata);
        r = nl_send_auto(k->sock, question);
        if (r >= 0)
                r = nl_recvmsgs_default(k->sock);
        (void) nl_socket_modify_cb(k->sock, NL_CB_VALID, NL_CB_DEFAULT, NULL, NULL);
        nlmsg_free(question);
        return result(k, r);
}

struct links_found {
        LinkFound found;
        void *userdata;
};

static int link_found(struct nl_msg *message, void *userdata) {
        struct links_found *f = userdata;
        struct link link;

        if (link_from_message(nlmsg_hdr(message), &link))
                f->found(&link, f->userdata);
        return NL_OK;
}

static struct nl_msg *link_question_of(unsigned ifindex, int flags) {
        const struct ifinfomsg header = {.ifi_family = AF_UNSPEC, .ifi_index = (int) ifindex};
        struct nl_msg *m = nlmsg_alloc_simple(RTM_GETLINK, NLM_F_REQUEST | flags);

        if (m && nlmsg_append(m, (void *) (uintptr_t) &header, sizeof header, NLMSG_ALIGNTO) < 0) {
                nlmsg_free(m);
                m = NULL;
        }
        return m;
}

static struct nl_msg *link_question(int flags) {
        return link_question_of(0, flags);
}

int kernel_links(struct kernel *k, LinkFound found, void *userdata) {
        return ask(k, link_question(NLM_F_DUMP), link_found, &(struct links_found){found, userdata});
}

static void keep_link(const struct link *link, void *userdata) {
        *(struct link *) userdata = *link;
}

int kernel_link(struct kernel *k, const char *name, struct link *ret) {
        struct nl_msg *m = link_question(0);
        struct link link = {};
        int r;

        if (m && nla_put_string(m, IFLA_IFNAME, name) < 0) {
                nlmsg_free(m);
                m = NULL;
        }
        r = ask(k, m, link_found, &(struct links_found){keep_link, &link});
        if (r < 0)
                return r;
        if (link.ifindex == 0)
                return -EBADMSG;
        *ret = link;
        return 0;
}

struct traffic_found {
        uint64_t taken, given;
        bool found;
};

static int traffic_found(struct nl_msg *message, void *userdata) {
        struct nlattr *a[IFLA_MAX + 1];
        struct traffic_found *t = userdata;
        struct rtnl_link_stats64 stats;

        if (nlmsg_parse(nlmsg_hdr(message), sizeof(struct ifinfomsg), a, IFLA_MAX, NULL) < 0 || !a[IFLA_STATS64] ||
                (size_t) nla_len(a[IFLA_STATS64]) < offsetof(struct rtnl_link_stats64, tx_bytes) + sizeof stats.tx_bytes)
                return NL_OK;
        (void) nla_memcpy(&stats, a[IFLA_STATS64], sizeof stats);
        *t = (struct traffic_found){stats.rx_bytes, stats.tx_bytes, true};
        return NL_OK;
}

int kernel_link_traffic(struct kernel *k, unsigned ifindex, uint64_t *ret_taken, uint64_t *ret_given) {
        struct traffic_found t = {};
        int r = ask(k, link_question_of(ifindex, 0), traffic_found, &t);

        if (r < 0)
                return r;
        if (!t.found)
                return -EBADMSG;
        *ret_taken = t.taken;
        *ret_given = t.given;
        return 0;
}

struct addresses_found {
        AddressFound found;
        void *userdata;
};

bool address_from_message(struct nlmsghdr *header, struct address *ret) {
        struct nlattr *a[IFA_MAX + 1];
        const struct ifaddrmsg *address = nlmsg_data(header);

        if ((header->nlmsg_type != RTM_NEWADDR && header->nlmsg_type != RTM_DELADDR) ||
                nlmsg_parse(header, sizeof *address, a, IFA_MAX, NULL) < 0 || address->ifa_family != AF_INET ||
                !a[IFA_LOCAL] || nla_len(a[IFA_LOCAL]) != 4)
                return false;
        *ret = (struct address){address->ifa_index, ipv4_load(nla_data(a[IFA_LOCAL])), address->ifa_prefixlen};
        return true;
}

static int address_found(struct nl_msg *message, void *userdata) {
        struct addresses_found *f = userdata;
        struct address address;

        if (address_from_message(nlmsg_hdr(message), &address))
                f->found(&address, f->userdata);
        return NL_OK;
}

int kernel_addresses(struct kernel *k, AddressFound found, void *userdata) {
        const struct ifaddrmsg header = {.ifa_family = AF_INET};
        struct nl_msg *m = nlmsg_alloc_simple(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP);

        if (m && nlmsg_append(m, (void *) (uintptr_t) &header, sizeof header, NLMSG_ALIGNTO) < 0) {
                nlmsg_free(m);
                m = NULL;
        }
        return ask(k, m, address_found, &(struct addresses_found){found, userdata});
}

/* Sends all, and waits for each one's answer; the first failure counts. Frees the messages. */
static int batch_run(struct batch *b, struct kernel *k) {
        struct iovec iov[BATCH_MAX];
        size_t sent = 0;
        int r = b->failed ? -ENOMEM : step(k);

        for (size_t i = 0; r >= 0 && i < b->n; i++) {
                struct nlmsghdr *header = nlmsg_hdr(b->messages[i]);

                nl_complete_msg(k->sock, b->messages[i]);
                header->nlmsg_flags |= NLM_F_ACK;
                iov[i] = (struct iovec){.iov_base = header, .iov_len = NLMSG_ALIGN(header->nlmsg_len)};
        }
        if (r >= 0 && b->n > 0) {
                r = nl_send_iovec(k->sock, b->messages[0], iov, (unsigned) b->n);
                r = result(k, r);
                sent = r < 0 ? 0 : b->n;
        }
        /* One that is lost does not come: whoever waited for it would wait for ever. */
        for (size_t i = 0; i < sent && !k->out_of_step; i++) {
                int q = result(k, nl_wait_for_ack(k->sock));

                if (r >= 0)
                        r = q;
        }
        for (size_t i = 0; i < b->n; i++)
                nlmsg_free(b->messages[i]);
        b->n = 0;
        return r;
}

/* The next message with its fixed header; NULL without memory, which batch_run() tells. */
static struct nl_msg *batch_add(struct batch *b, int type, int flags, const void *header, size_t size) {
        struct nl_msg *m = b->n < BATCH_MAX ? nlmsg_alloc_simple(type, NLM_F_REQUEST | flags) : NULL;

        if (m && nlmsg_append(m, (void *) (uintptr_t) header, size, NLMSG_ALIGNTO) < 0) {
                nlmsg_free(m);
                m = NULL;
        }
        if (m)
                b->messages[b->n++] = m;
        else
                b->failed = true;
        return m;
}

static struct nl_msg *batch_add_link(struct batch *b, int type, int flags, struct ifinfomsg header) {
        return batch_add(b, type, flags, &header, sizeof header);
}

static void put(struct batch *b, struct nl_msg *m, int type, const void *data, size_t size) {
        if (m && nla_put(m, type, (int) size, data) < 0)
                b->failed = true;
}

static void put_u32(struct batch *b, struct nl_msg *m, int type, uint32_t value) {
        put(b, m, type, &value, sizeof value);
}

static void put_u8(struct batch *b, struct nl_msg *m, int type, uint8_t value) {
        put(b, m, type, &value, sizeof value);
}

static void put_string(struct batch *b, struct nl_msg *m, int type, const char *value) {
        put(b, m, type, value, strlen(value) + 1);
}

static struct nlattr *nest(struct batch *b, struct nl_msg *m, int type) {
        struct nlattr *a = m ? nla_nest_start(m, type) : NULL;

        if (!a)
                b->failed = true;
        return a;
}

static void nest_end(struct nl_msg *m, struct nlattr *a) {
        if (m && a)
                (void) nla_nest_end(m, a);
}

/* Guests speak IPv4 only, so the host need not make IPv6 addresses for their interfaces and announce them. */
static void put_no_ipv6(const struct kernel *k, struct batch *b, struct nl_msg *m) {
        struct nlattr *spec, *inet6;

        if (!k->has_ipv6)
                return;
        spec = nest(b, m, IFLA_AF_SPEC);
        inet6 = nest(b, m, AF_INET6);
        put_u8(b, m, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
        nest_end(m, inet6);
        nest_end(m, spec);
}

int kernel_bridge_add(struct kernel *k, const char *name) {
        struct nlattr *info, *data;
        struct batch b = {};
        struct nl_msg *m;
        uint8_t mac[6];

        bridge_mac(mac, name);
        m = batch_add_link(&b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, (struct ifinfomsg){.ifi_family = AF_UNSPEC});
        put_string(&b, m, IFLA_IFNAME, name);
        put(&b, m, IFLA_ADDRESS, mac, sizeof mac);
        info = nest(&b, m, IFLA_LINKINFO);
        put_string(&b, m, IFLA_INFO_KIND, "bridge");
        /* Nobody on it uses multicast, and the bridge's own questions about it would wake every guest. */
        data = nest(&b, m, IFLA_INFO_DATA);
        put_u8(&b, m, IFLA_BR_MCAST_SNOOPING, 0);
        nest_end(m, data);
        nest_end(m, info);

        /* In the same message to the kernel: no bridge of ours is ever seen without its alias. */
        m = batch_add_link(&b, RTM_NEWLINK, 0,
                (struct ifinfomsg){.ifi_family = AF_UNSPEC, .ifi_flags = IFF_UP, .ifi_change = IFF_UP});
        put_string(&b, m, IFLA_IFNAME, name);
        put_string(&b, m, IFLA_IFALIAS, BRIDGE_ALIAS);
        put_no_ipv6(k, &b, m);
        return batch_run(&b, k);
}

int kernel_link_up(struct kernel *k, unsigned ifindex) {
        struct batch b = {};

        (void) batch_add_link(&b, RTM_NEWLINK, 0,
                (struct ifinfomsg){.ifi_index = (int) ifindex, .ifi_flags = IFF_UP, .ifi_change = IFF_UP});
        return batch_run(&b, k);
}

int kernel_link_down(struct kernel *k, unsigned ifindex) {
        struct batch b = {};

        (void) batch_add_link(&b, RTM_NEWLINK, 0, (struct ifinfomsg){.ifi_index = (int) ifindex, .ifi_change = IFF_UP});
        return batch_run(&b, k);
}

int kernel_bridge_repair(struct kernel *k, unsigned ifindex, const char *name) {
        struct batch b = {};
        struct nl_msg *m;
        uint8_t mac[6];

        bridge_mac(mac, name);
        m = batch_add_link(&b, RTM_NEWLINK, 0, (struct ifinfomsg){.ifi_index = (int) ifindex});
        put(&b, m, IFLA_ADDRESS, mac, sizeof mac);
        put_string(&b, m, IFLA_IFALIAS, BRIDGE_ALIAS);
        return batch_run(&b, k);
}

int kernel_link_remove(struct kernel *k, unsigned ifindex) {
        struct batch b = {};

        (void) batch_add_link(&b, RTM_DELLINK, 0, (struct ifinfomsg){.ifi_index = (int) ifindex});
        return batch_run(&b, k);
}

int kernel_links_remove(struct kernel *k, const unsigned *ifindexes, size_t n, uint32_t group) {
        struct batch b = {};
        struct nl_msg *m;

        if (n == 1)
                return kernel_link_remove(k, ifindexes[0]);
        for (size_t i = 0; i < n; i++) {
                m = batch_add_link(&b, RTM_NEWLINK, 0, (struct ifinfomsg){.ifi_index = (int) ifindexes[i]});
                put_u32(&b, m, IFLA_GROUP, group);
                /* One that has gone by itself in the meantime is no failure. */
                if (b.n == BATCH_MAX)
                        (void) batch_run(&b, k);
        }
        (void) batch_run(&b, k);
        if (n == 0)
                return 0;
        m = batch_add_link(&b, RTM_DELLINK, 0, (struct ifinfomsg){.ifi_family = AF_UNSPEC});
        put_u32(&b, m, IFLA_GROUP, group);
        return batch_run(&b, k);
}

int kernel_attach(struct kernel *k, const struct attachment *a) {
        const struct ndmsg neighbour = {
                .ndm_family = AF_BRIDGE,
                .ndm_ifindex = (int) a->ifindex,
                .ndm_state = NUD_NOARP,
                .ndm_flags = NTF_MASTER,
        };
        struct batch b = {};
        struct nlattr *info;
        struct nl_msg *m;
        uint8_t mac[6];

        tap_mac(mac, a->mac);
        m = batch_add_link(&b, RTM_NEWLINK, 0, (struct ifinfomsg){.ifi_index = (int) a->ifindex});
        put(&b, m, IFLA_ADDRESS, mac, sizeof mac);
        put_u32(&b, m, IFLA_GROUP, a->group);
        put_string(&b, m, IFLA_IFALIAS, a->alias);
        put_no_ipv6(k, &b, m);
        put_u32(&b, m, IFLA_MASTER, a->bridge);

        m = batch_add_link(
                &b, RTM_SETLINK, 0, (struct ifinfomsg){.ifi_family = AF_BRIDGE, .ifi_index = (int) a->ifindex});
        info = nest(&b, m, IFLA_PROTINFO | NLA_F_NESTED);
        put_u8(&b, m, IFLA_BRPORT_ISOLATED, a->isolated);
        put_u8(&b, m, IFLA_BRPORT_LEARNING, 0);
        put_u8(&b, m, IFLA_BRPORT_UNICAST_FLOOD, 0);
        /* LLDP and its like would go to the host's listeners on the TAP before any rule has seen them. */
        put(&b, m, IFLA_BRPORT_GROUP_FWD_MASK, &(uint16_t){LINK_LOCAL_MASK}, sizeof(uint16_t));
        nest_end(m, info);

        m = batch_add(&b, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &neighbour, sizeof neighbour);
        put(&b, m, NDA_LLADDR, a->mac, 6);

        (void) batch_add_link(&b, RTM_NEWLINK, 0,
                (struct ifinfomsg){.ifi_index = (int) a->ifindex, .ifi_flags = IFF_UP, .ifi_change = IFF_UP});
        return batch_run(&b, k);
}

static int change_address(struct kernel *k, int type, int flags, unsigned ifindex, uint32_t address, uint8_t prefix) {
        const struct ifaddrmsg header = {
                .ifa_family = AF_INET,
                .ifa_prefixlen = prefix,
                .ifa_scope = RT_SCOPE_UNIVERSE,
                .ifa_index = ifindex,
        };
        uint8_t bytes[4], broadcast[4];
        struct batch b = {};
        struct nl_msg *m;

        ipv4_store(bytes, address);
        ipv4_store(broadcast, address | ~prefix_mask(prefix));
        m = batch_add(&b, type, flags, &header, sizeof header);
        put(&b, m, IFA_LOCAL, bytes, sizeof bytes);
        put(&b, m, IFA_ADDRESS, bytes, sizeof bytes);
        if (type == RTM_NEWADDR)
                put(&b, m, IFA_BROADCAST, broadcast, sizeof broadcast);
        return batch_run(&b, k);
}

int kernel_address_add(struct kernel *k, unsigned ifindex, uint32_t address, uint8_t prefix) {
        return change_address(k, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, ifindex, address, prefix);
}

int kernel_address_remove(struct kernel *k, unsigned ifindex, uint32_t address, uint8_t prefix) {
        return change_address(k, RTM_DELADDR, 0, ifindex, address, prefix);
}
