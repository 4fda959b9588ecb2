/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/log-line.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Length of the valid UTF-8 sequence at p (RFC 3629), 0 where there is none. C1 controls count as invalid: terminals
 * obey them. */
static size_t utf8_length(const unsigned char *p, size_t len) {
        size_t n;
        uint32_t c;

        if (p[0] >= 0xc2 && p[0] <= 0xdf)
                n = 2, c = p[0] & 0x1fU;
        else if (p[0] >= 0xe0 && p[0] <= 0xef)
                n = 3, c = p[0] & 0x0fU;
        else if (p[0] >= 0xf0 && p[0] <= 0xf4)
                n = 4, c = p[0] & 0x07U;
        else
                return 0;
        if (len < n)
                return 0;
        for (size_t i = 1; i < n; i++) {
                if ((p[i] & 0xc0U) != 0x80)
                        return 0;
                c = c << 6 | (p[i] & 0x3fU);
        }
        if ((n == 2 && c < 0xa0) || (n == 3 && c < 0x800) || (n == 4 && c < 0x10000) || c > 0x10ffff ||
                (c >= 0xd800 && c <= 0xdfff))
                return 0;
        return n;
}

static size_t escape(char *out, const unsigned char *p, size_t len) {
        static const char hex[] = "0123456789abcdef";
        size_t o = 0;

        for (size_t i = 0; i < len;) {
                size_t n = (p[i] >= 0x20 && p[i] < 0x7f) || p[i] == '\t' ? 1 : utf8_length(p + i, len - i);

                if (p[i] == '\\') {
                        out[o++] = '\\';
                        out[o++] = '\\';
                        i++;
                } else if (n > 0) {
                        memcpy(out + o, p + i, n);
                        o += n;
                        i += n;
                } else {
                        out[o++] = '\\';
                        out[o++] = 'x';
                        out[o++] = hex[p[i] >> 4];
                        out[o++] = hex[p[i] & 15];
                        i++;
                }
        }
        return o;
}

size_t log_line_format(
        char *buf, uint64_t seq, uint64_t time, uint32_t boot, char stream, const void *text, size_t len) {
        int n;
        size_t o;

        if (len > LOG_TEXT_MAX)
                len = LOG_TEXT_MAX;
        n = snprintf(buf, LOG_LINE_MAX, "%" PRIu64 " %" PRIu64 " %" PRIu32 " %c ", seq, time, boot, stream);
        o = (size_t) n;
        o += escape(buf + o, text, len);
        buf[o++] = '\n';
        return o;
}

/* Reads decimal digits and the one space behind them. */
static bool parse_number(const char **p, const char *end, uint64_t max, uint64_t *ret) {
        uint64_t v = 0;
        const char *start = *p;

        for (; *p < end && **p >= '0' && **p <= '9'; (*p)++)
                if (__builtin_mul_overflow(v, 10U, &v) || __builtin_add_overflow(v, (uint64_t) (**p - '0'), &v))
                        return false;
        if (*p == start || *p == end || **p != ' ' || v > max)
                return false;
        (*p)++;
        *ret = v;
        return true;
}

/* Whether text is what escape() writes. */
static bool text_is_valid(const unsigned char *p, size_t len) {
        for (size_t i = 0; i < len;) {
                size_t n;

                if (p[i] == '\\') {
                        if (i + 1 < len && p[i + 1] == '\\')
                                i += 2;
                        else if (i + 3 < len && p[i + 1] == 'x' && strchr("0123456789abcdef", p[i + 2]) && p[i + 2] &&
                                 strchr("0123456789abcdef", p[i + 3]) && p[i + 3])
                                i += 4;
                        else
                                return false;
                        continue;
                }
                n = (p[i] >= 0x20 && p[i] < 0x7f) || p[i] == '\t' ? 1 : utf8_length(p + i, len - i);
                if (n == 0)
                        return false;
                i += n;
        }
        return true;
}

bool log_line_parse(const char *line, size_t len, struct log_line *ret) {
        const char *p = line, *end = line + len;
        uint64_t seq, time, boot;
        char stream;

        if (len > LOG_LINE_MAX)
                return false;
        if (!parse_number(&p, end, UINT64_MAX - 1, &seq) || !parse_number(&p, end, UINT64_MAX, &time) ||
                !parse_number(&p, end, UINT32_MAX, &boot))
                return false;
        if (end - p < 2 || p[1] != ' ')
                return false;
        stream = p[0];
        if (stream != 'k' && stream != 'p' && stream != 'm')
                return false;
        p += 2;
        if (!text_is_valid((const unsigned char *) p, (size_t) (end - p)))
                return false;
        *ret = (struct log_line){.seq = seq,
                .time = time,
                .boot = (uint32_t) boot,
                .stream = stream,
                .text = p,
                .text_len = (size_t) (end - p)};
        return true;
}
