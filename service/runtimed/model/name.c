/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the grammar of names: VMs, unit instances, image references, digests. */
#include "model/name.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <string.h>

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

#define DIGEST_PREFIX "sha256:"
#define SHA256_HEX 64U
#define TAG_MAX 128U
#define UNIT_INSTANCE_HEAD 15
#define UNIT_INSTANCE_HASH 8

bool vm_name_is_valid(const char *name) {
        size_t n = strlen(name);

        return n >= 1 && n <= VM_NAME_MAX && strspn(name, LOWER DIGITS "._-") == n && g_ascii_isalnum(name[0]);
}

char *vm_unit_instance(const char *name) {
        if (strlen(name) <= UNIT_INSTANCE_MAX && !strchr(name, '.'))
                return g_strdup(name);

        g_autofree char *hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, name, -1);
        g_autofree char *head = g_strndup(name, UNIT_INSTANCE_HEAD);

        return g_strdup_printf("%s-%.*s", g_strdelimit(head, ".", '-'), UNIT_INSTANCE_HASH, hash);
}

bool digest_is_valid(const char *digest) {
        if (!g_str_has_prefix(digest, DIGEST_PREFIX))
                return false;

        const char *hex = digest + strlen(DIGEST_PREFIX);

        return strlen(hex) == SHA256_HEX && strspn(hex, DIGITS "abcdef") == SHA256_HEX;
}

/* The separator at p between two runs of letters and digits: one dot, one or two underscores, any number of dashes. */
static size_t separator_length(const char *p) {
        if (*p == '.')
                return 1;
        if (*p == '_')
                return p[1] == '_' ? 2 : 1;
        return strspn(p, "-");
}

static bool path_component_is_valid(const char *s) {
        for (;;) {
                size_t n = strspn(s, LOWER DIGITS);

                if (n == 0)
                        return false;
                s += n;
                if (*s == '\0')
                        return true;
                n = separator_length(s);
                if (n == 0)
                        return false;
                s += n;
        }
}

static bool host_label_is_valid(const char *s) {
        size_t n = strlen(s);

        return n > 0 && n <= 63 && strspn(s, LOWER UPPER DIGITS "-") == n && s[0] != '-' && s[n - 1] != '-';
}

static bool registry_host_is_valid(const char *host) {
        size_t n = strlen(host);

        if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
                g_autofree char *address = g_strndup(host + 1, n - 2);
                struct in6_addr unused;

                return inet_pton(AF_INET6, address, &unused) == 1;
        }

        g_auto(GStrv) labels = g_strsplit(host, ".", -1);

        if (!labels[0])
                return false;
        for (char **l = labels; *l; l++)
                if (!host_label_is_valid(*l))
                        return false;
        return true;
}

bool registry_name_is_valid(const char *registry) {
        const char *end = strrchr(registry, ']'), *colon = strchr(end ? end : registry, ':');
        g_autofree char *host = colon ? g_strndup(registry, (size_t) (colon - registry)) : g_strdup(registry);

        if (colon) {
                size_t n = strlen(colon + 1);

                if (n < 1 || n > 5 || strspn(colon + 1, DIGITS) != n)
                        return false;
        }
        return registry_host_is_valid(host);
}

/* The part before the first slash is a registry when it cannot be a path: the rule of docker references. */
static bool is_registry(const char *component) {
        return strpbrk(component, ".:[" UPPER) || g_str_equal(component, "localhost");
}

static bool repository_is_valid(const char *name) {
        g_auto(GStrv) parts = g_strsplit(name, "/", -1);
        size_t n = g_strv_length(parts), i = 0;

        if (n > 1 && is_registry(parts[0])) {
                if (!registry_name_is_valid(parts[0]))
                        return false;
                i = 1;
        }
        if (i == n)
                return false;
        for (; i < n; i++)
                if (!path_component_is_valid(parts[i]))
                        return false;
        return true;
}

static bool tag_is_valid(const char *tag) {
        size_t n = strlen(tag);

        return n >= 1 && n <= TAG_MAX && strspn(tag, LOWER UPPER DIGITS "_.-") == n &&
               (g_ascii_isalnum(*tag) || *tag == '_');
}

/* Where the tag's colon is in a reference without digest, NULL: none. A colon before the last slash is a port. */
static char *find_tag(char *name) {
        char *slash = strrchr(name, '/');

        return strchr(slash ? slash : name, ':');
}

bool image_reference_is_valid(const char *reference) {
        if (strlen(reference) > IMAGE_REFERENCE_MAX)
                return false;

        g_autofree char *name = g_strdup(reference);
        char *at = strchr(name, '@');

        if (at) {
                *at = '\0';
                if (!digest_is_valid(at + 1))
                        return false;
        }

        char *tag = find_tag(name);

        if (tag) {
                *tag = '\0';
                if (!tag_is_valid(tag + 1))
                        return false;
        }
        return repository_is_valid(name);
}

char *image_reference_tag(const char *reference) {
        if (digest_is_valid(reference))
                return g_strdup("");

        g_autofree char *name = g_strdup(reference);
        char *at = strchr(name, '@');

        if (at)
                *at = '\0';

        const char *tag = find_tag(name);

        if (tag)
                return g_strdup(tag + 1);
        return g_strdup(at ? "" : "latest");
}

int image_reference_split(const char *reference, ImageReference *ret) {
        if (!image_reference_is_valid(reference) || digest_is_valid(reference))
                return -EINVAL;

        g_autofree char *name = g_strdup(reference);
        char *at = strchr(name, '@');

        *ret = (ImageReference){.digest = at ? g_strdup(at + 1) : NULL};
        if (at)
                *at = '\0';

        char *tag = find_tag(name);

        if (tag) {
                ret->tag = g_strdup(tag + 1);
                *tag = '\0';
        } else if (!at)
                ret->tag = g_strdup("latest");

        const char *slash = strchr(name, '/');
        g_autofree char *first = slash ? g_strndup(name, (size_t) (slash - name)) : NULL;

        if (first && is_registry(first)) {
                ret->registry = g_steal_pointer(&first);
                ret->path = g_strdup(slash + 1);
        } else
                ret->path = g_steal_pointer(&name);
        return 0;
}

void image_reference_clear(ImageReference *r) {
        g_free(r->registry);
        g_free(r->path);
        g_free(r->tag);
        g_free(r->digest);
        *r = (ImageReference){};
}
