/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the short way from a record's text to JSON. It knows what records are made of and judges nothing: where anything
 * else comes, the whole text is the library's to read or to refuse. */
#include "model/record-text.h"

#include <stdbool.h>
#include <string.h>

#define DEPTH_MAX 8U   /* records have four */
#define DIGITS_MAX 18U /* fit a json_int_t */

typedef struct Text {
        const char *at, *end;
        unsigned depth;
} Text;

static bool at_end(Text *t) {
        while (t->at < t->end && (*t->at == ' ' || *t->at == '\n' || *t->at == '\t' || *t->at == '\r'))
                t->at++;
        return t->at == t->end;
}

static bool take(Text *t, char c) {
        if (at_end(t) || *t->at != c)
                return false;
        t->at++;
        return true;
}

static bool take_word(Text *t, const char *word) {
        size_t n = strlen(word);

        if ((size_t) (t->end - t->at) < n || memcmp(t->at, word, n) != 0)
                return false;
        t->at += n;
        return true;
}

/* What is between the quote that was taken and the next one, in place. */
static const char *take_string(Text *t, size_t *ret_len) {
        const char *begin = t->at;

        for (; t->at < t->end && *t->at >= ' ' && *t->at < 0x7f && *t->at != '\\'; t->at++)
                if (*t->at == '"') {
                        *ret_len = (size_t) (t->at++ - begin);
                        return begin;
                }
        return NULL;
}

/* A fraction or an exponent is left behind it, where nobody takes it. */
static json_t *take_number(Text *t) {
        bool minus = take(t, '-');
        const char *begin = t->at;
        json_int_t v = 0;

        for (; t->at < t->end && *t->at >= '0' && *t->at <= '9' && (size_t) (t->at - begin) < DIGITS_MAX; t->at++)
                v = v * 10 + (*t->at - '0');
        if (t->at == begin || (*begin == '0' && (minus || t->at - begin > 1)))
                return NULL;
        return json_integer(minus ? -v : v);
}

static json_t *take_value(Text *t);

static json_t *take_members(Text *t) {
        json_t *object = json_object();
        size_t n = 0, len;

        if (take(t, '}'))
                return object;
        do {
                const char *key = take(t, '"') ? take_string(t, &len) : NULL;
                json_t *value = key && take(t, ':') ? take_value(t) : NULL;

                if (!value || json_object_setn_new_nocheck(object, key, len, value) < 0 ||
                        json_object_size(object) != ++n) /* a key came twice */
                        goto other;
        } while (take(t, ','));
        if (take(t, '}'))
                return object;
other:
        json_decref(object);
        return NULL;
}

static json_t *take_elements(Text *t) {
        json_t *array = json_array();

        if (take(t, ']'))
                return array;
        do {
                json_t *value = take_value(t);

                if (!value || json_array_append_new(array, value) < 0)
                        goto other;
        } while (take(t, ','));
        if (take(t, ']'))
                return array;
other:
        json_decref(array);
        return NULL;
}

static json_t *take_value(Text *t) {
        json_t *value = NULL;
        const char *s;
        size_t len;

        if (take(t, '"')) {
                s = take_string(t, &len);
                return s ? json_stringn_nocheck(s, len) : NULL;
        }
        if (t->depth++ >= DEPTH_MAX)
                return NULL;
        if (take(t, '{'))
                value = take_members(t);
        else if (take(t, '['))
                value = take_elements(t);
        else if (take_word(t, "true"))
                value = json_true();
        else if (take_word(t, "false"))
                value = json_false();
        else if (take_word(t, "null"))
                value = json_null();
        else
                value = take_number(t);
        t->depth--;
        return value;
}

json_t *record_text_parse(const char *text, size_t len, json_error_t *error) {
        Text t = {.at = text, .end = text + len};
        json_t *object = take(&t, '{') ? take_members(&t) : NULL;

        if (object && at_end(&t))
                return object;
        json_decref(object);
        return json_loadb(text, len, JSON_REJECT_DUPLICATES, error);
}
