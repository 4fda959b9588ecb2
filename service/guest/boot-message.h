/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "guest/failure.h"
#include "shared/probe-text.h"

/* The boot message of shared/guest-wire.h, checked. */

#define BOOT_CONSOLE_MAX 15U

/* Items end with NULL; items is NULL as long as there is none. */
struct string_list {
        char **items;
        size_t n;
};

struct boot_message {
        char *data; /* a copy of the message; all strings point into it */
        const char *root;
        const char *hostname; /* NULL: none */
        const char *user;     /* "" for root */
        const char *workdir;
        const char *console; /* "hvc0" */
        int stop_signal;
        struct string_list args;
        struct string_list environment;
        bool has_address;
        struct in_addr address;
        unsigned prefix;
        bool has_gateway;
        struct in_addr gateway;
        struct string_list dns;
        struct string_list search;
        struct string_list hosts;  /* "ADDRESS NAME" */
        struct string_list mounts; /* "KIND TAG PATH", see boot_mount_parse() */
        struct probe_plan ready, health;
};

/* Parses and checks len bytes. The caller frees with boot_message_done(). -EBADMSG for what guest-wire.h does not
 * describe, with the reason in failure. */
int boot_message_parse(const void *data, size_t len, struct boot_message *ret, struct failure *failure);

enum mount_kind { MOUNT_VOLUME, MOUNT_DISK, MOUNT_SHARE, MOUNT_KINDS };

#define MOUNT_TAG_MAX 32U

struct boot_mount {
        enum mount_kind kind;
        char tag[MOUNT_TAG_MAX];
        const char *path; /* part of the text */
};

/* -EBADMSG for another kind, a tag that is none, a path that is not absolute. */
int boot_mount_parse(const char *text, struct boot_mount *ret);

/* Also right for a zeroed message. */
void boot_message_done(struct boot_message *message);
