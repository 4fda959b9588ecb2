/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes text that a guest or QEMU wrote fit for messages: bounded, printable, valid UTF-8. */
#include "monitor/text.h"

#include <stdint.h>

static size_t sequence_length(unsigned char c) {
        if (c < 0x80)
                return 1;
        if (c >= 0xc2 && c <= 0xdf)
                return 2;
        if (c >= 0xe0 && c <= 0xef)
                return 3;
        if (c >= 0xf0 && c <= 0xf4)
                return 4;
        return 0;
}

/* Bytes of the printable character at p, 0 when there is none. */
static size_t printable_length(const unsigned char *p, size_t len) {
        size_t n = sequence_length(p[0]);
        uint32_t c;

        if (n == 1)
                return p[0] >= 0x20 && p[0] < 0x7f ? 1 : 0;
        if (n == 0 || n > len)
                return 0;
        c = p[0] & (0x7fU >> n);
        for (size_t i = 1; i < n; i++) {
                if ((p[i] & 0xc0U) != 0x80)
                        return 0;
                c = c << 6 | (p[i] & 0x3fU);
        }
        /* C1 controls, overlong forms, surrogates, beyond Unicode. */
        if (c < 0xa0 || (n == 3 && c < 0x800) || (n == 4 && c < 0x10000) || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
                return 0;
        return n;
}

size_t text_cut(const void *text, size_t len) {
        const unsigned char *p = text;

        for (size_t i = len; i > 0 && len - i < 3; i--)
                if ((p[i - 1] & 0xc0U) != 0x80)
                        return sequence_length(p[i - 1]) > len - i + 1 ? i - 1 : len;
        return len;
}

char *text_clean(char *buf, const void *text, size_t len) {
        const unsigned char *p = text;
        size_t o = 0;

        while (len > 0 && p[0] <= ' ')
                p++, len--;
        while (len > 0 && p[len - 1] <= ' ')
                len--;
        if (len > TEXT_MAX)
                len = text_cut(p, TEXT_MAX);

        for (size_t i = 0; i < len;) {
                size_t n = printable_length(p + i, len - i);

                if (n == 0) {
                        buf[o++] = p[i] == '\t' || p[i] == '\n' ? ' ' : '?';
                        i++;
                        continue;
                }
                while (n-- > 0)
                        buf[o++] = (char) p[i++];
        }
        buf[o] = 0;
        return buf;
}
