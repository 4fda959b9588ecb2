/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "netd/watch.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdlib.h>
#include <string.h>

#include "shared/fd.h"
#include "shared/log.h"

#define RECEIVE_BUFFER (4 << 20) /* a thousand TAPs may go at once */
#define AGAIN_USEC 1000000ULL    /* what could not be put right */
#define CHECK_USEC 250000ULL     /* between two looks at our tables, which our own changes make suspicious, too */

struct watch {
        struct networks *networks;
        struct nl_sock *links, *tables;
        sd_event_source *link_source, *table_source, *again, *check;
        bool table_changed; /* by us or by others, and not looked at */
        uint64_t checked_at;
};

static int link_message(struct nl_msg *message, void *userdata) {
        struct nlmsghdr *header = nlmsg_hdr(message);
        struct watch *w = userdata;
        struct address address;
        struct link link;

        if (header->nlmsg_type == RTM_DELADDR && address_from_message(header, &address))
                networks_address_gone(w->networks, &address);
        if (!link_from_message(header, &link))
                return NL_OK;
        if (header->nlmsg_type == RTM_DELLINK)
                networks_link_gone(w->networks, &link);
        else
                networks_link(w->networks, &link);
        return NL_OK;
}

/* Tables, chains, rules, sets, elements and counters alike have their table's name first. Identities that are added
 * are ours: ports come and go all the time. */
static int table_message(struct nl_msg *message, void *userdata) {
        struct nlmsghdr *header = nlmsg_hdr(message);
        struct nlattr *attributes[NFTA_SET_ELEM_LIST_SET + 1];
        struct watch *w = userdata;
        unsigned type = NFNL_MSG_TYPE(header->nlmsg_type);
        const char *set;

        _Static_assert(NFTA_TABLE_NAME == 1 && NFTA_CHAIN_TABLE == 1 && NFTA_RULE_TABLE == 1 && NFTA_SET_TABLE == 1 &&
                               NFTA_SET_ELEM_LIST_TABLE == 1 && NFTA_OBJ_TABLE == 1,
                "one attribute for all");
        if (NFNL_SUBSYS_ID(header->nlmsg_type) != NFNL_SUBSYS_NFTABLES || type == NFT_MSG_NEWGEN ||
                nlmsg_parse(header, sizeof(struct nfgenmsg), attributes, NFTA_SET_ELEM_LIST_SET, NULL) < 0 ||
                !attributes[NFTA_TABLE_NAME] || strcmp(nla_get_string(attributes[NFTA_TABLE_NAME]), GUARD_TABLE) != 0)
                return NL_OK;
        set = type == NFT_MSG_NEWSETELEM && attributes[NFTA_SET_ELEM_LIST_SET]
                      ? nla_get_string(attributes[NFTA_SET_ELEM_LIST_SET])
                      : "";
        if (strcmp(set, "identities") != 0)
                w->table_changed = true;
        return NL_OK;
}

/* Reads all that is there. False: the kernel had to drop some. */
static bool drain(struct nl_sock *sock) {
        bool complete = true;
        int r;

        do {
                r = nl_recvmsgs_default(sock);
                if (r == -NLE_NOMEM) /* ENOBUFS */
                        complete = false;
        } while (r >= 0 || r == -NLE_NOMEM);
        return complete;
}

/* Once more in a while, if there is something to be done then. */
static void plan(struct watch *w) {
        const struct networks *n = w->networks;
        int enabled = SD_EVENT_OFF;

        (void) sd_event_source_get_enabled(w->again, &enabled);
        if (enabled != SD_EVENT_OFF || (!n->suspicious && !n->cut))
                return;
        (void) sd_event_source_set_time_relative(w->again, AGAIN_USEC);
        (void) sd_event_source_set_enabled(w->again, SD_EVENT_ONESHOT);
}

static void check_tables(struct watch *w) {
        uint64_t now = now_monotonic();

        if (!w->table_changed)
                return;
        if (w->checked_at != 0 && now < w->checked_at + CHECK_USEC) {
                (void) sd_event_source_set_time_relative(w->check, w->checked_at + CHECK_USEC - now);
                (void) sd_event_source_set_enabled(w->check, SD_EVENT_ONESHOT);
                return;
        }
        w->checked_at = now;
        w->table_changed = false;
        networks_guard_check(w->networks);
        plan(w);
}

static int on_check(sd_event_source *source, uint64_t usec, void *userdata) {
        check_tables(userdata);
        return 0;
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata) {
        struct watch *w = userdata;

        if (w->networks->cut)
                networks_guard_check(w->networks);
        networks_repair(w->networks);
        plan(w);
        return 0;
}

static int on_links(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct watch *w = userdata;

        if (drain(w->links))
                networks_settle(w->networks);
        else
                networks_look_again(w->networks);
        networks_repair(w->networks);
        plan(w);
        return 0;
}

static int on_tables(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct watch *w = userdata;

        if (!drain(w->tables))
                w->table_changed = true;
        check_tables(w);
        return 0;
}

static int open_socket(int protocol, int group, nl_recvmsg_msg_cb_t callback, void *userdata, struct nl_sock **ret) {
        struct nl_sock *sock = nl_socket_alloc();

        if (!sock)
                return -ENOMEM;
        nl_socket_disable_seq_check(sock);
        if (nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, callback, userdata) < 0 ||
                nl_connect(sock, protocol) < 0 || nl_socket_set_nonblocking(sock) < 0 ||
                nl_socket_add_membership(sock, group) < 0) {
                nl_socket_free(sock);
                return -EIO;
        }
        /* Not all: without CAP_NET_ADMIN in the first namespace the buffer stays as it is, and we look again more
         * often. */
        (void) nl_socket_set_buffer_size(sock, RECEIVE_BUFFER, 0);
        *ret = sock;
        return 0;
}

static int watch_open(struct watch *w, sd_event *event) {
        int r;

        r = open_socket(NETLINK_ROUTE, RTNLGRP_LINK, link_message, w, &w->links);
        if (r >= 0 && nl_socket_add_membership(w->links, RTNLGRP_IPV4_IFADDR) < 0)
                r = -EIO;
        if (r >= 0)
                r = open_socket(NETLINK_NETFILTER, NFNLGRP_NFTABLES, table_message, w, &w->tables);
        if (r >= 0)
                r = sd_event_add_io(event, &w->link_source, nl_socket_get_fd(w->links), EPOLLIN, on_links, w);
        if (r >= 0)
                r = sd_event_add_io(event, &w->table_source, nl_socket_get_fd(w->tables), EPOLLIN, on_tables, w);
        /* The first look, in case the tables could not be made at the start. */
        if (r >= 0)
                r = sd_event_add_time_relative(event, &w->again, CLOCK_MONOTONIC, AGAIN_USEC, 0, on_again, w);
        if (r >= 0)
                r = sd_event_add_time_relative(event, &w->check, CLOCK_MONOTONIC, 0, 0, on_check, w);
        /* What the kernel has told is true before what the daemon asks. */
        if (r >= 0)
                r = sd_event_source_set_priority(w->link_source, SD_EVENT_PRIORITY_IMPORTANT);
        if (r >= 0)
                r = sd_event_source_set_priority(w->table_source, SD_EVENT_PRIORITY_IMPORTANT);
        return r;
}

int watch_new(sd_event *event, struct networks *networks, struct watch **ret) {
        struct watch *w = calloc(1, sizeof *w);
        int r;

        if (!w)
                return -ENOMEM;
        w->networks = networks;
        r = watch_open(w, event);
        if (r < 0) {
                (void) watch_free(w);
                return r;
        }
        *ret = w;
        return 0;
}

struct watch *watch_free(struct watch *w) {
        if (!w)
                return NULL;
        (void) sd_event_source_unref(w->link_source);
        (void) sd_event_source_unref(w->table_source);
        (void) sd_event_source_disable_unref(w->again);
        (void) sd_event_source_disable_unref(w->check);
        nl_socket_free(w->links);
        nl_socket_free(w->tables);
        free(w);
        return NULL;
}
