/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines of a foreign program: may hold anything, end anywhere. */
#include "worker/ops-output.h"

#include <glib.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#define MARK "Bootable image file:"
#define LINES_KEPT 3U

/* The next line from *at on, without its end; false at the end of the text. */
static bool next_line(const char *text, size_t len, size_t *at, const char **ret, size_t *ret_len) {
        const char *end;

        if (*at >= len)
                return false;
        *ret = text + *at;
        end = memchr(*ret, '\n', len - *at);
        *ret_len = end ? (size_t) (end - *ret) : len - *at;
        *at += *ret_len + (end != NULL);
        while (*ret_len > 0 && g_ascii_isspace((*ret)[*ret_len - 1]))
                --*ret_len;
        return true;
}

static char *path_of(const char *s, size_t len) {
        while (len > 0 && *s == ' ') {
                s++;
                len--;
        }
        if (len == 0 || len >= PATH_MAX || *s != '/')
                return NULL;
        for (size_t i = 0; i < len; i++)
                if ((unsigned char) s[i] < 0x20 || s[i] == 0x7f)
                        return NULL;
        return g_strndup(s, len);
}

char *ops_output_image(const char *text, size_t len) {
        char *path = NULL;
        const char *line;
        size_t n, at = 0;

        while (next_line(text, len, &at, &line, &n)) {
                if (n < strlen(MARK) || memcmp(line, MARK, strlen(MARK)) != 0)
                        continue;
                g_free(path);
                path = path_of(line + strlen(MARK), n - strlen(MARK));
        }
        return path;
}

/* The last lines that say anything, oldest first, joined. */
static void add_tail(GString *words, const char *text, size_t len) {
        const char *kept[LINES_KEPT];
        size_t lengths[LINES_KEPT], n, at = 0;
        const char *line;
        unsigned total = 0;

        while (next_line(text, len, &at, &line, &n)) {
                if (n == 0)
                        continue;
                kept[total % LINES_KEPT] = line;
                lengths[total++ % LINES_KEPT] = n;
        }
        for (unsigned i = total > LINES_KEPT ? total - LINES_KEPT : 0; i < total; i++) {
                if (words->len > 0)
                        g_string_append(words, "; ");
                g_string_append_len(words, kept[i % LINES_KEPT], (gssize) MIN(lengths[i % LINES_KEPT], OPS_WORDS_MAX));
        }
}

char *ops_output_words(const char *out, size_t out_len, const char *err, size_t err_len) {
        g_autoptr(GString) words = g_string_new(NULL);
        g_autofree char *valid = NULL;
        size_t end;

        add_tail(words, err, err_len);
        add_tail(words, out, out_len);
        for (size_t i = 0; i < words->len; i++)
                if ((unsigned char) words->str[i] < 0x20 || words->str[i] == 0x7f)
                        words->str[i] = '?';
        valid = g_utf8_make_valid(words->str, (gssize) words->len);
        end = strlen(valid);
        if (end > OPS_WORDS_MAX)
                for (end = OPS_WORDS_MAX; end > 0 && ((unsigned char) valid[end] & 0xc0) == 0x80;)
                        end--;
        return g_strndup(valid, end);
}
