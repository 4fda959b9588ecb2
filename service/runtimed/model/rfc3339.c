/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the text of a time in a file. */
#include "model/rfc3339.h"

#include <errno.h>
#include <glib.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#define USEC_PER_SEC 1000000ULL
#define FRACTION_DIGITS_MAX 9

char *rfc3339_format(uint64_t usec) {
        time_t seconds = (time_t) (usec / USEC_PER_SEC);
        struct tm tm;
        char text[64];

        gmtime_r(&seconds, &tm);
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
        return g_strdup_printf("%s.%06uZ", text, (unsigned) (usec % USEC_PER_SEC));
}

/* Exactly n digits at *p, which moves on. */
static bool digits(const char **p, int n, int *ret) {
        int v = 0;

        for (int i = 0; i < n; i++) {
                if (!g_ascii_isdigit((*p)[i]))
                        return false;
                v = v * 10 + ((*p)[i] - '0');
        }
        *p += n;
        *ret = v;
        return true;
}

static bool literal(const char **p, char upper, char lower) {
        if (**p != upper && **p != lower)
                return false;
        (*p)++;
        return true;
}

static bool fraction(const char **p, uint32_t *ret_usec) {
        uint32_t usec = 0, unit = USEC_PER_SEC / 10;
        int n = 0;

        *ret_usec = 0;
        if (**p != '.')
                return true;
        for ((*p)++; g_ascii_isdigit(**p) && n < FRACTION_DIGITS_MAX; (*p)++, n++) {
                usec += (uint32_t) (**p - '0') * unit;
                unit /= 10;
        }
        *ret_usec = usec;
        return n > 0;
}

static bool offset(const char **p, int *ret_seconds) {
        int sign = **p == '-' ? -1 : 1, hours, minutes;

        *ret_seconds = 0;
        if (literal(p, 'Z', 'z'))
                return true;
        if (!literal(p, '+', '-') || !digits(p, 2, &hours) || !literal(p, ':', ':') || !digits(p, 2, &minutes))
                return false;
        *ret_seconds = sign * (hours * 3600 + minutes * 60);
        return hours <= 23 && minutes <= 59;
}

/* A date that exists: timegm() would carry the 31st of June on. A leap second is the next one. */
static bool to_seconds(struct tm *tm, time_t *ret) {
        struct tm given = *tm;
        bool leap = tm->tm_sec == 60;

        if (leap)
                tm->tm_sec = given.tm_sec = 59;
        *ret = timegm(tm) + (leap ? 1 : 0);
        return tm->tm_mon == given.tm_mon && tm->tm_mday == given.tm_mday && tm->tm_hour == given.tm_hour &&
               tm->tm_min == given.tm_min && tm->tm_sec == given.tm_sec;
}

int rfc3339_parse(const char *text, uint64_t *ret) {
        const char *p = text;
        struct tm tm = {0};
        uint32_t usec;
        int zone;
        time_t t;

        if (!digits(&p, 4, &tm.tm_year) || !literal(&p, '-', '-') || !digits(&p, 2, &tm.tm_mon) ||
                !literal(&p, '-', '-') || !digits(&p, 2, &tm.tm_mday) || !literal(&p, 'T', 't') ||
                !digits(&p, 2, &tm.tm_hour) || !literal(&p, ':', ':') || !digits(&p, 2, &tm.tm_min) ||
                !literal(&p, ':', ':') || !digits(&p, 2, &tm.tm_sec) || !fraction(&p, &usec) || !offset(&p, &zone) ||
                *p != '\0')
                return -EINVAL;

        tm.tm_year -= 1900;
        tm.tm_mon -= 1;
        if (!to_seconds(&tm, &t))
                return -EINVAL;
        t -= zone;
        *ret = t < 0 ? 0 : (uint64_t) t * USEC_PER_SEC + usec;
        return 0;
}
