/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parser of the boot message. It is strict: the message comes from the same release of the daemon, so whatever it
 * does not know is a mistake somebody should hear of, not something to pass over. */
#include "guest/boot-message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shared/guest-wire.h"

#define SIGNAL_DEFAULT SIGTERM
#define SIGNAL_MAX 64U
#define HOSTNAME_MAX 64U
#define ROOT_TAG_MAX 20U /* a virtio-blk serial */

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define NAME_CHARACTERS LETTERS "0123456789._-"

struct key {
        const char *name;
        bool repeats;
        int (*set)(struct boot_message *m, char *value, struct failure *failure);
};

static int list_add(struct string_list *list, char *item, struct failure *failure) {
        /* Grows at powers of two; one place more for the NULL. */
        if ((list->n & (list->n + 1)) == 0) {
                char **items = reallocarray(list->items, (list->n + 1) * 2, sizeof(char *));

                if (!items)
                        return failure_set_errno(failure, -ENOMEM, "boot message");
                list->items = items;
        }
        list->items[list->n++] = item;
        list->items[list->n] = NULL;
        return 0;
}

/* A decimal number of at most max, digits only. */
static bool parse_number(const char *s, unsigned max, unsigned *ret) {
        uint64_t n = 0;

        if (!*s)
                return false;
        for (; *s; s++) {
                if (*s < '0' || *s > '9')
                        return false;
                n = n * 10 + (unsigned) (*s - '0');
                if (n > max)
                        return false;
        }
        *ret = (unsigned) n;
        return true;
}

static bool name_is_valid(const char *s, size_t max) {
        size_t len = strlen(s);

        return len > 0 && len <= max && strspn(s, NAME_CHARACTERS) == len && s[0] != '-' && s[0] != '.';
}

static bool address_is_valid(const char *s) {
        struct in6_addr buffer;

        return inet_pton(AF_INET, s, &buffer) == 1 || inet_pton(AF_INET6, s, &buffer) == 1;
}

static int set_version(struct boot_message *m, char *value, struct failure *failure) {
        unsigned version;

        if (!parse_number(value, UINT16_MAX, &version) || version != GUEST_WIRE_VERSION)
                return failure_set(failure, -EBADMSG, "boot message: version '%s' is not known, only %d is", value,
                        GUEST_WIRE_VERSION);
        return 0;
}

static int set_root(struct boot_message *m, char *value, struct failure *failure) {
        if (!name_is_valid(value, ROOT_TAG_MAX))
                return failure_set(
                        failure, -EBADMSG, "boot message: root '%s' is not a disk serial of 1 to 20 letters", value);
        m->root = value;
        return 0;
}

static int set_hostname(struct boot_message *m, char *value, struct failure *failure) {
        if (!name_is_valid(value, HOSTNAME_MAX))
                return failure_set(failure, -EBADMSG,
                        "boot message: hostname '%s' is not 1 to %u of letters, digits, '.', '_' and '-'", value,
                        HOSTNAME_MAX);
        m->hostname = value;
        return 0;
}

static int add_arg(struct boot_message *m, char *value, struct failure *failure) {
        return list_add(&m->args, value, failure);
}

static int add_env(struct boot_message *m, char *value, struct failure *failure) {
        if (value[0] == '=' || !strchr(value, '='))
                return failure_set(failure, -EBADMSG, "boot message: env '%s' is not KEY=VALUE", value);
        return list_add(&m->environment, value, failure);
}

static int set_user(struct boot_message *m, char *value, struct failure *failure) {
        m->user = value;
        return 0;
}

static int set_workdir(struct boot_message *m, char *value, struct failure *failure) {
        if (value[0] && value[0] != '/')
                return failure_set(failure, -EBADMSG, "boot message: workdir '%s' is not an absolute path", value);
        m->workdir = value[0] ? value : "/";
        return 0;
}

static int set_stop_signal(struct boot_message *m, char *value, struct failure *failure) {
        unsigned n;

        if (!parse_number(value, SIGNAL_MAX, &n) || n == 0)
                return failure_set(failure, -EBADMSG, "boot message: stop-signal '%s' is not a number from 1 to %u",
                        value, SIGNAL_MAX);
        m->stop_signal = (int) n;
        return 0;
}

static int set_address(struct boot_message *m, char *value, struct failure *failure) {
        char text[INET_ADDRSTRLEN];
        const char *slash = strchr(value, '/');
        size_t len = slash ? (size_t) (slash - value) : 0;

        if (!slash || len >= sizeof(text))
                goto bad;
        memcpy(text, value, len);
        text[len] = 0;
        if (inet_pton(AF_INET, text, &m->address) != 1 || !parse_number(slash + 1, 32, &m->prefix) || m->prefix == 0)
                goto bad;
        m->has_address = true;
        return 0;
bad:
        return failure_set(
                failure, -EBADMSG, "boot message: address '%s' is not IPV4/PREFIX with a prefix from 1 to 32", value);
}

static int set_gateway(struct boot_message *m, char *value, struct failure *failure) {
        if (inet_pton(AF_INET, value, &m->gateway) != 1)
                return failure_set(failure, -EBADMSG, "boot message: gateway '%s' is not an IPv4 address", value);
        m->has_gateway = true;
        return 0;
}

static int add_dns(struct boot_message *m, char *value, struct failure *failure) {
        if (!address_is_valid(value))
                return failure_set(failure, -EBADMSG, "boot message: dns '%s' is not an IPv4 or IPv6 address", value);
        return list_add(&m->dns, value, failure);
}

static int add_search(struct boot_message *m, char *value, struct failure *failure) {
        if (!name_is_valid(value, 253))
                return failure_set(failure, -EBADMSG, "boot message: search '%s' is not a domain name", value);
        return list_add(&m->search, value, failure);
}

static int add_host(struct boot_message *m, char *value, struct failure *failure) {
        char *space = strchr(value, ' ');
        bool good = false;

        if (space) {
                *space = 0;
                good = address_is_valid(value) && name_is_valid(space + 1, 253);
                *space = ' ';
        }
        if (!good)
                return failure_set(failure, -EBADMSG, "boot message: host '%s' is not 'ADDRESS NAME'", value);
        return list_add(&m->hosts, value, failure);
}

static enum mount_kind kind_of(const char *word, size_t len) {
        static const char *const words[MOUNT_KINDS] = {[MOUNT_VOLUME] = "volume", [MOUNT_DISK] = "disk", [MOUNT_SHARE] = "share"};
        enum mount_kind k = 0;

        while (k < MOUNT_KINDS && (strlen(words[k]) != len || strncmp(words[k], word, len) != 0))
                k++;
        return k;
}

int boot_mount_parse(const char *text, struct boot_mount *ret) {
        size_t kind_len = strcspn(text, " "), tag_len;
        const char *tag = text + kind_len + 1;
        struct boot_mount m = {.kind = kind_of(text, kind_len)};

        if (m.kind == MOUNT_KINDS || text[kind_len] != ' ')
                return -EBADMSG;
        tag_len = strcspn(tag, " ");
        if (tag_len == 0 || tag_len >= sizeof(m.tag) || strspn(tag, NAME_CHARACTERS "/") < tag_len ||
                tag[tag_len] != ' ')
                return -EBADMSG;
        memcpy(m.tag, tag, tag_len);
        m.path = tag + tag_len + 1;
        if (m.path[0] != '/')
                return -EBADMSG;
        *ret = m;
        return 0;
}

static int add_mount(struct boot_message *m, char *value, struct failure *failure) {
        struct boot_mount mount;

        if (boot_mount_parse(value, &mount) < 0)
                return failure_set(failure, -EBADMSG, "boot message: mount '%s' is not 'KIND TAG PATH'", value);
        return list_add(&m->mounts, value, failure);
}

static int set_console(struct boot_message *m, char *value, struct failure *failure) {
        if (!name_is_valid(value, BOOT_CONSOLE_MAX))
                return failure_set(failure, -EBADMSG, "boot message: console '%s' is not a device of 1 to %u letters",
                        value, BOOT_CONSOLE_MAX);
        m->console = value;
        return 0;
}

static int set_probe(struct probe_plan *plan, const char *key, const char *value, struct failure *failure) {
        if (!probe_plan_parse(value, plan))
                return failure_set(failure, -EBADMSG,
                        "boot message: %s '%s' is not KIND PORT INTERVAL TIMEOUT[ PATH] with KIND message, tcp or http",
                        key, value);
        return 0;
}

static int set_ready(struct boot_message *m, char *value, struct failure *failure) {
        return set_probe(&m->ready, "ready", value, failure);
}

static int set_health(struct boot_message *m, char *value, struct failure *failure) {
        return set_probe(&m->health, "health", value, failure);
}

static const struct key keys[] = {
        {"version", false, set_version},
        {"root", false, set_root},
        {"hostname", false, set_hostname},
        {"arg", true, add_arg},
        {"env", true, add_env},
        {"user", false, set_user},
        {"workdir", false, set_workdir},
        {"stop-signal", false, set_stop_signal},
        {"address", false, set_address},
        {"gateway", false, set_gateway},
        {"dns", true, add_dns},
        {"search", true, add_search},
        {"host", true, add_host},
        {"mount", true, add_mount},
        {"console", false, set_console},
        {"ready", false, set_ready},
        {"health", false, set_health},
};

#define N_KEYS (sizeof(keys) / sizeof(keys[0]))

/* Its index, N_KEYS when there is none. */
static size_t find_key(const char *name) {
        size_t i = 0;

        while (i < N_KEYS && strcmp(keys[i].name, name) != 0)
                i++;
        return i;
}

static int parse_entry(struct boot_message *m, char *entry, unsigned *seen, struct failure *failure) {
        char *value = strchr(entry, '=');
        size_t k;

        if (!value)
                return failure_set(failure, -EBADMSG, "boot message: '%s' is not key=value", entry);
        *value++ = 0;
        k = find_key(entry);
        if (k == N_KEYS)
                return failure_set(failure, -EBADMSG, "boot message: key '%s' is not known", entry);
        if (*seen == 0 && k != 0)
                return failure_set(failure, -EBADMSG, "boot message: begins with '%s', not with version", entry);
        if (!keys[k].repeats && (*seen & 1U << k))
                return failure_set(failure, -EBADMSG, "boot message: '%s' is there twice", entry);
        *seen |= 1U << k;
        return keys[k].set(m, value, failure);
}

static int parse(struct boot_message *m, size_t len, struct failure *failure) {
        unsigned seen = 0;
        int r;

        for (size_t at = 0; at < len;) {
                size_t next = at + strlen(m->data + at) + 1;

                r = parse_entry(m, m->data + at, &seen, failure);
                if (r < 0)
                        return r;
                at = next;
        }
        if (m->args.n == 0 || !m->args.items[0][0])
                return failure_set(failure, -EBADMSG, "boot message: no program to run (arg is missing or empty)");
        if (m->has_gateway && !m->has_address)
                return failure_set(failure, -EBADMSG, "boot message: gateway without address");
        return 0;
}

int boot_message_parse(const void *data, size_t len, struct boot_message *ret, struct failure *failure) {
        struct boot_message m = {
                .root = "root", .user = "", .workdir = "/", .console = "hvc0", .stop_signal = SIGNAL_DEFAULT};
        const char *bytes = data;
        int r;

        if (len == 0)
                return failure_set(failure, -EBADMSG, "boot message: empty");
        if (len > GUEST_BOOT_MAX)
                return failure_set(
                        failure, -EBADMSG, "boot message: %zu bytes, at most %u are taken", len, GUEST_BOOT_MAX);
        if (bytes[len - 1] != 0)
                return failure_set(failure, -EBADMSG, "boot message: cut off, its last string has no end");

        m.data = malloc(len);
        if (!m.data)
                return failure_set_errno(failure, -ENOMEM, "boot message");
        memcpy(m.data, data, len);
        r = parse(&m, len, failure);
        if (r < 0) {
                boot_message_done(&m);
                return r;
        }
        *ret = m;
        return 0;
}

void boot_message_done(struct boot_message *message) {
        free(message->args.items);
        free(message->environment.items);
        free(message->dns.items);
        free(message->search.items);
        free(message->hosts.items);
        free(message->mounts.items);
        free(message->data);
        *message = (struct boot_message){};
}
