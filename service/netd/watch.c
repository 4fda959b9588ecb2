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

#include "shared/log.h"

#define RECEIVE_BUFFER (4 << 20) /* a thousand TAPs may go at once */

struct watch {
        struct networks *networks;
        struct nl_sock *links, *tables;
        sd_event_source *link_source, *table_source;
        bool table_deleted;
};

static int link_message(struct nl_msg *message, void *userdata) {
        struct nlmsghdr *header = nlmsg_hdr(message);
        struct watch *w = userdata;
        struct link link;

        if (!link_from_message(header, &link))
                return NL_OK;
        if (header->nlmsg_type == RTM_DELLINK)
                networks_link_gone(w->networks, &link);
        else
                networks_link(w->networks, &link);
        return NL_OK;
}

static int table_message(struct nl_msg *message, void *userdata) {
        const struct nlmsghdr *header = nlmsg_hdr(message);
        struct nlattr *attributes[NFTA_TABLE_MAX + 1];
        struct watch *w = userdata;

        if (NFNL_SUBSYS_ID(header->nlmsg_type) != NFNL_SUBSYS_NFTABLES ||
                NFNL_MSG_TYPE(header->nlmsg_type) != NFT_MSG_DELTABLE)
                return NL_OK;
        if (nlmsg_parse((struct nlmsghdr *) header, sizeof(struct nfgenmsg), attributes, NFTA_TABLE_MAX, NULL) < 0)
                return NL_OK;
        if (attributes[NFTA_TABLE_NAME] && strcmp(nla_get_string(attributes[NFTA_TABLE_NAME]), GUARD_TABLE) == 0)
                w->table_deleted = true;
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

static int on_links(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct watch *w = userdata;

        if (drain(w->links))
                networks_settle(w->networks);
        else
                networks_look_again(w->networks);
        return 0;
}

static int on_tables(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct watch *w = userdata;
        bool complete;

        w->table_deleted = false;
        complete = drain(w->tables);
        if (w->table_deleted || !complete)
                networks_guard_check(w->networks);
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
        if (r >= 0)
                r = open_socket(NETLINK_NETFILTER, NFNLGRP_NFTABLES, table_message, w, &w->tables);
        if (r >= 0)
                r = sd_event_add_io(event, &w->link_source, nl_socket_get_fd(w->links), EPOLLIN, on_links, w);
        if (r >= 0)
                r = sd_event_add_io(event, &w->table_source, nl_socket_get_fd(w->tables), EPOLLIN, on_tables, w);
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
        nl_socket_free(w->links);
        nl_socket_free(w->tables);
        free(w);
        return NULL;
}
