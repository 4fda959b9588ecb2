/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the errors of the interface as values, and how foreign text is shown in a message. */
#include "model/problem.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define QUOTE_CHARS_MAX 64

static const struct {
        const char *error;
        int r;
} errnos[] = {
        {"InvalidSpec", -EINVAL},
        {"InvalidName", -EINVAL},
        {"UnsupportedImage", -EINVAL},
        {"DigestMismatch", -EBADMSG},
        {"NoSpace", -ENOSPC},
        {"LimitExceeded", -E2BIG},
        {"QuotaExceeded", -EDQUOT},
        {"VMRunning", -EBUSY},
        {"VMNotRunning", -EBUSY},
        {"Busy", -EBUSY},
        {"ImageInUse", -EBUSY},
        {"NetworkInUse", -EBUSY},
        {"DiskInUse", -EBUSY},
        {"PortInUse", -EADDRINUSE},
        {"Timeout", -ETIMEDOUT},
        {"GuestNotResponding", -ETIMEDOUT},
        {"Canceled", -ECANCELED},
        {"Stale", -ESTALE},
        {"NotSupported", -EOPNOTSUPP},
        {"NoAcceleration", -EOPNOTSUPP},
        {"ToolMissing", -ENOENT},
        {"CredentialsMissing", -ENOKEY},
};

static int error_to_errno(const char *error) {
        for (size_t i = 0; i < G_N_ELEMENTS(errnos); i++)
                if (g_str_equal(errnos[i].error, error))
                        return errnos[i].r;
        if (g_str_has_prefix(error, "NoSuch"))
                return -ENOENT;
        if (g_str_has_suffix(error, "Exists"))
                return -EEXIST;
        return -EIO;
}

static Problem *problem_take(const char *error, const char *key, char *text) {
        Problem *p = g_new0(Problem, 1);

        p->error = error;
        p->key = g_strdup(key);
        p->text = text;
        return p;
}

Problem *problem_new(const char *error, const char *key, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        char *text = g_strdup_vprintf(format, ap);
        va_end(ap);
        return problem_take(error, key, text);
}

void problem_free(Problem *p) {
        if (!p)
                return;
        g_free(p->key);
        g_free(p->text);
        g_free(p);
}

int problem_set(Problem **ret, const char *error, const char *key, const char *format, ...) {
        if (ret) {
                va_list ap;

                va_start(ap, format);
                char *text = g_strdup_vprintf(format, ap);
                va_end(ap);
                *ret = problem_take(error, key, text);
        }
        return error_to_errno(error);
}

char *problem_quote(const char *text) {
        g_autofree char *valid = g_utf8_make_valid(text, (gssize) strnlen(text, 4U * QUOTE_CHARS_MAX + 4U));
        GString *s = g_string_new("'");
        size_t n = 0;

        for (const char *p = valid; *p != '\0'; p = g_utf8_next_char(p)) {
                gunichar c = g_utf8_get_char(p);

                if (++n > QUOTE_CHARS_MAX) {
                        g_string_append(s, "...");
                        break;
                }
                if (g_unichar_isprint(c))
                        g_string_append_unichar(s, c);
                else
                        g_string_append_printf(s, "\\x%02x", c);
        }
        g_string_append_c(s, '\'');
        return g_string_free(s, FALSE);
}
