/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the search of console output, in time that only its length decides. */
#include "shared/pattern.h"

#include <string.h>

static void take(struct pattern *p, unsigned element, int byte) {
        if (byte >= 0) {
                p->mask[byte] |= UINT64_C(1) << element;
                return;
        }
        for (unsigned i = 0; i < 256; i++)
                if (i != '\n')
                        p->mask[i] |= UINT64_C(1) << element;
}

/* The byte that the element at *text takes, -1 for any; moves on. -2: no element. */
static int next_element(const unsigned char **text) {
        unsigned char c = *(*text)++;

        if (c == '?')
                return -1;
        if (c == '\\') {
                c = *(*text)++;
                return c == '*' || c == '?' || c == '\\' ? c : -2;
        }
        return c < 0x20 || c == 0x7f ? -2 : c;
}

bool pattern_compile(const char *text, struct pattern *ret) {
        const unsigned char *t = (const unsigned char *) text;
        struct pattern p = {};
        unsigned n = 0;

        if (strlen(text) > PATTERN_BYTES_MAX)
                return false;
        while (*t) {
                int byte;

                if (*t == '*') {
                        t++;
                        /* Before the first element it says nothing: the text may begin anywhere. */
                        if (n > 0)
                                p.loops |= UINT64_C(1) << (n - 1);
                        continue;
                }
                byte = next_element(&t);
                if (byte == -2 || n == PATTERN_ELEMENTS_MAX)
                        return false;
                take(&p, n++, byte);
        }
        if (n == 0)
                return false;
        p.end = UINT64_C(1) << (n - 1);
        *ret = p;
        return true;
}

bool pattern_search(const struct pattern *pattern, uint64_t *state, const void *data, size_t len) {
        const unsigned char *p = data;
        uint64_t s = *state;

        for (size_t i = 0; i < len; i++) {
                s = p[i] == '\n' ? 0 : (((s << 1) | 1) & pattern->mask[p[i]]) | (s & pattern->loops);
                if (s & pattern->end) {
                        *state = 0;
                        return true;
                }
        }
        *state = s;
        return false;
}
