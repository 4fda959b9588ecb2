/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The image's users and groups. Read here and not by libc: a static libc has no NSS, and what an image names is only
 * what its two files say. Lines that are no entries are passed over, as everywhere else. */
#include "guest/account.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define ID_MAX (UINT32_MAX - 1) /* the last one means "unchanged" to the kernel */
#define NAME_MAX_BYTES 256U

/* A piece of a file, not terminated. */
struct span {
        const char *p;
        size_t len;
};

#define PASSWD_FIELDS 7
#define GROUP_FIELDS 4

static bool span_equals(struct span s, const char *text) {
        return s.len == strlen(text) && memcmp(s.p, text, s.len) == 0;
}

/* Takes what is before the next separator off *rest. */
static bool next_span(struct span *rest, char separator, struct span *ret) {
        const char *end;

        if (!rest->p)
                return false;
        end = memchr(rest->p, separator, rest->len);
        *ret = (struct span){rest->p, end ? (size_t) (end - rest->p) : rest->len};
        if (end)
                *rest = (struct span){end + 1, rest->len - ret->len - 1};
        else
                *rest = (struct span){};
        return true;
}

static bool parse_id(struct span s, uint32_t *ret) {
        uint64_t n = 0;

        if (s.len == 0)
                return false;
        for (size_t i = 0; i < s.len; i++) {
                if (s.p[i] < '0' || s.p[i] > '9')
                        return false;
                n = n * 10 + (unsigned) (s.p[i] - '0');
                if (n > ID_MAX)
                        return false;
        }
        *ret = (uint32_t) n;
        return true;
}

static void split_fields(struct span line, struct span *fields, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (!next_span(&line, ':', &fields[i]))
                        fields[i] = (struct span){"", 0};
}

/* Finds the first entry of passwd with that name or number. */
static bool find_user(const char *passwd, const char *name, bool is_id, uint32_t id, struct span ret[PASSWD_FIELDS]) {
        struct span rest = {passwd, passwd ? strlen(passwd) : 0}, line;

        while (next_span(&rest, '\n', &line)) {
                uint32_t uid, gid;

                split_fields(line, ret, PASSWD_FIELDS);
                if (!parse_id(ret[2], &uid) || !parse_id(ret[3], &gid) || ret[0].len == 0)
                        continue;
                if (span_equals(ret[0], name) || (is_id && uid == id))
                        return true;
        }
        return false;
}

static bool find_group(const char *group, const char *name, bool is_id, uint32_t id, gid_t *ret) {
        struct span rest = {group, group ? strlen(group) : 0}, line, fields[GROUP_FIELDS];

        while (next_span(&rest, '\n', &line)) {
                uint32_t gid;

                split_fields(line, fields, GROUP_FIELDS);
                if (!parse_id(fields[2], &gid) || fields[0].len == 0)
                        continue;
                if (span_equals(fields[0], name) || (is_id && gid == id)) {
                        *ret = gid;
                        return true;
                }
        }
        return false;
}

static bool list_has(struct span list, struct span name) {
        struct span item;

        while (next_span(&list, ',', &item))
                if (item.len == name.len && memcmp(item.p, name.p, name.len) == 0)
                        return true;
        return false;
}

static int add_groups(struct account *a, const char *group, struct span user, struct failure *failure) {
        struct span rest = {group, group ? strlen(group) : 0}, line, fields[GROUP_FIELDS];

        while (next_span(&rest, '\n', &line)) {
                uint32_t gid;

                split_fields(line, fields, GROUP_FIELDS);
                if (!parse_id(fields[2], &gid) || !list_has(fields[3], user))
                        continue;
                if (a->n_groups == ACCOUNT_GROUPS_MAX)
                        return failure_set(failure, -E2BIG,
                                "user '%.*s' is in more than %u groups of the image's /etc/group", (int) user.len,
                                user.p, ACCOUNT_GROUPS_MAX);
                a->groups[a->n_groups++] = gid;
        }
        return 0;
}

static int set_group(struct account *a, const char *name, const char *group, struct failure *failure) {
        uint32_t id = 0;
        bool is_id = parse_id((struct span){name, strlen(name)}, &id);

        if (find_group(group, name, is_id, id, &a->gid))
                return 0;
        if (!is_id)
                return failure_set(failure, -ENOENT,
                        "group '%s' is not in the image's /etc/group; a name from there or a number is accepted", name);
        a->gid = id;
        return 0;
}

static int set_user(struct account *a, const char *name, const char *passwd, struct span ret[PASSWD_FIELDS],
        struct failure *failure) {
        uint32_t id = 0;
        bool is_id = parse_id((struct span){name, strlen(name)}, &id);
        struct span home = {"/", 1};

        if (find_user(passwd, name, is_id, id, ret)) {
                (void) parse_id(ret[2], &a->uid);
                (void) parse_id(ret[3], &a->gid);
                if (ret[5].len > 0 && ret[5].len < sizeof(a->home))
                        home = ret[5];
        } else if (is_id) {
                a->uid = id;
                ret[0] = (struct span){"", 0};
        } else
                return failure_set(failure, -ENOENT,
                        "user '%s' is not in the image's /etc/passwd; a name from there or a number is accepted", name);
        (void) snprintf(a->home, sizeof(a->home), "%.*s", (int) home.len, home.p);
        return 0;
}

int account_resolve(
        const char *spec, const char *passwd, const char *group, struct account *ret, struct failure *failure) {
        struct account a = {};
        struct span user[PASSWD_FIELDS];
        char name[NAME_MAX_BYTES];
        const char *colon = strchr(spec, ':');
        size_t len = colon ? (size_t) (colon - spec) : strlen(spec);
        int r;

        if (len >= sizeof(name))
                return failure_set(
                        failure, -EINVAL, "user of %zu bytes; at most %zu are accepted", len, sizeof(name) - 1);
        memcpy(name, spec, len);
        name[len] = 0;

        r = set_user(&a, len > 0 ? name : "0", passwd, user, failure);
        if (r < 0)
                return r;
        if (colon && colon[1])
                r = set_group(&a, colon + 1, group, failure);
        else if (user[0].len > 0)
                r = add_groups(&a, group, user[0], failure);
        if (r < 0)
                return r;
        *ret = a;
        return 0;
}
