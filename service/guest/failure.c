/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The text of a failure: made in one place, so that nothing unprintable of an image reaches the host's screen. */
#include "guest/failure.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Length of the UTF-8 character at p, 0 when it is none or a control character. The terminating NUL is no continuation
 * byte, so nothing behind it is read. */
static size_t printable_length(const unsigned char *p) {
        static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
        uint32_t c;
        size_t len;

        if (p[0] < 0x80)
                return p[0] >= 0x20 && p[0] != 0x7f ? 1 : 0;
        if ((p[0] & 0xe0) == 0xc0)
                len = 2;
        else if ((p[0] & 0xf0) == 0xe0)
                len = 3;
        else if ((p[0] & 0xf8) == 0xf0)
                len = 4;
        else
                return 0;

        c = p[0] & (0xffU >> (len + 1));
        for (size_t i = 1; i < len; i++) {
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
                c = c << 6 | (p[i] & 0x3fU);
        }
        if (c < smallest[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) || (c >= 0x80 && c <= 0x9f))
                return 0;
        return len;
}

void failure_clean(char *text) {
        unsigned char *p = (unsigned char *) text;

        while (*p) {
                size_t len = printable_length(p);

                if (len == 0) {
                        *p = '?';
                        len = 1;
                }
                p += len;
        }
}

int failure_set(struct failure *failure, int error, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(failure->text, sizeof(failure->text), format, ap);
        va_end(ap);
        failure_clean(failure->text);
        return error;
}

int failure_set_errno(struct failure *failure, int error, const char *format, ...) {
        size_t len;
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(failure->text, sizeof(failure->text), format, ap);
        va_end(ap);
        len = strlen(failure->text);
        (void) snprintf(failure->text + len, sizeof(failure->text) - len, ": %s", strerror(-error));
        failure_clean(failure->text);
        return error;
}
