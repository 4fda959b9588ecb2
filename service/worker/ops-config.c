/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory, CPUs and ports are QEMU's and passt's business: they are in no image, so a change of them needs no new one.
 */
#include "worker/ops-config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>

#define PREFIX_MAX 32U

static json_t *strings(char **list) {
        json_t *array = json_array();

        for (char **s = list; s && *s; s++)
                (void) json_array_append_new(array, json_string(*s));
        return array;
}

static json_t *environment(char **list) {
        json_t *object = json_object();

        for (char **s = list; s && *s; s++) {
                const char *equals = strchr(*s, '=');
                g_autofree char *key = equals ? g_strndup(*s, (size_t) (equals - *s)) : NULL;

                if (key && *key)
                        (void) json_object_set_new(object, key, json_string(equals + 1));
        }
        return object;
}

static bool is_plain_ipv4(const char *text) {
        struct in_addr address;
        char again[INET_ADDRSTRLEN];

        return text && inet_pton(AF_INET, text, &address) == 1 && inet_ntop(AF_INET, &address, again, sizeof again) &&
               strcmp(text, again) == 0;
}

/* ops drops what does not parse, says nothing, and the guest asks for an address by DHCP: so it is parsed here. */
static int set_address(const struct ops_config *c, json_t *run, struct failure *f) {
        g_auto(GStrv) parts = g_strsplit(c->address, "/", 2);
        struct in_addr mask;
        char text[INET_ADDRSTRLEN];
        guint64 prefix;

        if (!is_plain_ipv4(parts[0]) || !parts[1] ||
                !g_ascii_string_to_unsigned(parts[1], 10, 1, PREFIX_MAX, &prefix, NULL))
                return failf(f, -EINVAL, FAILURE_SPEC, "address \"%s\" is no IPv4 address with its prefix", c->address);
        if (!is_plain_ipv4(c->gateway))
                return failf(f, -EINVAL, FAILURE_SPEC, "gateway \"%s\" is no IPv4 address", c->gateway ?: "");
        mask.s_addr = htonl(UINT32_MAX << (PREFIX_MAX - prefix));
        (void) inet_ntop(AF_INET, &mask, text, sizeof text);
        (void) json_object_set_new(run, "IPAddress", json_string(parts[0]));
        (void) json_object_set_new(run, "NetMask", json_string(text));
        (void) json_object_set_new(run, "Gateway", json_string(c->gateway));
        return 0;
}

static int check_text(char **list, const char *what, struct failure *f) {
        for (char **s = list; s && *s; s++)
                if (!g_utf8_validate(*s, -1, NULL))
                        return failf(f, -EINVAL, FAILURE_SPEC,
                                "%s: the configuration of a Nanos image is JSON, and takes only UTF-8", what);
        return 0;
}

int ops_config_build(const struct ops_config *c, bool old, json_t **ret, struct failure *f) {
        json_t *object, *run;
        int r;

        r = check_text(c->args, "arguments", f);
        if (r >= 0)
                r = check_text(c->environment, "environment", f);
        if (r >= 0)
                r = check_text(c->directories, "directories", f);
        if (r < 0)
                return r;
        run = json_object();
        r = c->address ? set_address(c, run, f) : 0;
        if (r < 0) {
                json_decref(run);
                return r;
        }
        object = json_pack("{s:o, s:o, s:o, s:o}", "Args", strings(c->args), "Env", environment(c->environment), "Dirs",
                strings(c->directories), "RunConfig", run);
        if (!old) {
                uint64_t mib = (c->bytes >> 20) + 1 + OPS_SPACE_MIB;
                g_autofree char *size = g_strdup_printf("%" G_GUINT64_FORMAT "m", mib);

                (void) json_object_set_new(object, "BaseVolumeSz", json_string(size));
                (void) json_object_set_new(object, "Debugflags", json_pack("[s]", "debug_exit"));
        }
        *ret = object;
        return 0;
}
