/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads skopeo's words. They hold what a registry said, so they are text for people, and decide nothing but a name. */
#include "fetch/complaint.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#define TEXT_MAX 1000U

/* The value of key="..." with its backslashes resolved; NULL without. */
static char *quoted_value(const char *line, const char *key) {
        const char *start = strstr(line, key);
        GString *value;

        if (!start)
                return NULL;
        value = g_string_new(NULL);
        for (const char *p = start + strlen(key); *p && *p != '"'; p++) {
                if (*p == '\\' && p[1]) {
                        p++;
                        g_string_append_c(value, *p == 'n' || *p == 't' ? ' ' : *p);
                } else
                        g_string_append_c(value, *p);
        }
        return g_string_free(value, FALSE);
}

static bool is_log_line(const char *line) {
        return g_str_has_prefix(line, "time=\"") && strstr(line, " level=");
}

char *complaint_text(const char *line) {
        char *text = is_log_line(line) ? quoted_value(line, " msg=\"") : NULL;

        return text ? text : g_strdup(line);
}

bool complaint_is_fatal(const char *line) {
        return is_log_line(line) && strstr(line, " level=fatal ");
}

/* skopeo repeats the name in front of the reason. */
static const char *without_preface(const char *text) {
        static const char preface[] = "Error parsing image name \"";
        const char *end;

        if (!g_str_has_prefix(text, preface))
                return text;
        end = strstr(text + strlen(preface), "\": ");
        return end ? end + strlen("\": ") : text;
}

static const struct {
        const char *words, *error, *sentence; /* sentence with one %s: the registry */
} table[] = {
        {"no space left on device", FAILURE_SPACE, "there is no room for the image of %s"},
        {"file too large", FAILURE_LIMIT, "registry %s sends more than the manifest says"},
        {"does not match provided manifest digest", FAILURE_DIGEST, "registry %s sends something else"},
        {"Digest did not match", FAILURE_DIGEST, "registry %s sends something else"},
        {"does not match expected digest", FAILURE_DIGEST, "registry %s sends something else"},
        {"digest mismatch", FAILURE_DIGEST, "registry %s sends something else"},
        {"Source image rejected", FAILURE_REGISTRY,
                "this host's policy (/etc/containers/policy.json) refuses registry %s"},
        {"unauthorized", FAILURE_REGISTRY, "registry %s refuses (unauthorized)"},
        {"authentication required", FAILURE_REGISTRY, "registry %s refuses (unauthorized)"},
        {"invalid username/password", FAILURE_REGISTRY, "registry %s refuses (unauthorized)"},
        {"access to the resource is denied", FAILURE_REGISTRY, "registry %s refuses (denied)"},
        {"denied", FAILURE_REGISTRY, "registry %s refuses (denied)"},
        {"manifest unknown", FAILURE_REGISTRY, "registry %s has no such image"},
        {"name unknown", FAILURE_REGISTRY, "registry %s has no such image"},
        {"NAME_UNKNOWN", FAILURE_REGISTRY, "registry %s has no such image"},
        {"server gave HTTP response to HTTPS client", FAILURE_REGISTRY,
                "registry %s speaks no TLS (InsecureRegistries= in runtime.conf allows that)"},
        {"x509:", FAILURE_REGISTRY, "the certificate of registry %s is not trusted"},
        {"no such host", FAILURE_REGISTRY, "registry %s cannot be reached"},
        {"connection refused", FAILURE_REGISTRY, "registry %s cannot be reached"},
        {"connection reset", FAILURE_REGISTRY, "the connection to registry %s broke"},
        {"unreachable", FAILURE_REGISTRY, "registry %s cannot be reached"},
        {"no route to host", FAILURE_REGISTRY, "registry %s cannot be reached"},
        {"timeout", FAILURE_REGISTRY, "registry %s cannot be reached"},
        {"unexpected EOF", FAILURE_REGISTRY, "the connection to registry %s broke"},
};

int complaint_fail(const char *registry, const char *text, struct failure *f) {
        g_autofree char *reason = g_strndup(without_preface(text), TEXT_MAX), *sentence = NULL;

        for (size_t i = 0; i < G_N_ELEMENTS(table); i++)
                if (strstr(text, table[i].words)) {
                        g_auto(GStrv) parts = g_strsplit(table[i].sentence, "%s", 2);

                        sentence = g_strjoinv(registry, parts);
                        return failf(f, -EIO, table[i].error, "%s: %s", sentence, reason);
                }
        if (!*reason)
                return failf(f, -EIO, FAILURE_REGISTRY, "registry %s: skopeo ended without a reason", registry);
        return failf(f, -EIO, FAILURE_REGISTRY, "registry %s: %s", registry, reason);
}
