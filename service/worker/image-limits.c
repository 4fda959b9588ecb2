/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of limits: keys, defaults, hard ends. */
#include "worker/image-limits.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static const struct {
        const char *key;
        size_t offset;
        uint64_t usual, max;
} table[] = {
        {"bytes", offsetof(struct limits, bytes), LIMIT_BYTES_DEFAULT, LIMIT_BYTES_MAX},
        {"entries", offsetof(struct limits, entries), LIMIT_ENTRIES_DEFAULT, LIMIT_ENTRIES_MAX},
        {"layers", offsetof(struct limits, layers), LIMIT_LAYERS_DEFAULT, LIMIT_LAYERS_MAX},
        {"depth", offsetof(struct limits, depth), LIMIT_DEPTH_DEFAULT, LIMIT_DEPTH_MAX},
        {"manifest", offsetof(struct limits, manifest), LIMIT_MANIFEST_DEFAULT, LIMIT_MANIFEST_MAX},
        {"name", offsetof(struct limits, name), LIMIT_NAME_DEFAULT, LIMIT_NAME_MAX},
};

#define N_TABLE (sizeof table / sizeof table[0])

static uint64_t *slot(struct limits *l, size_t i) {
        return (uint64_t *) (void *) ((char *) l + table[i].offset);
}

static int set_limit(struct limits *l, const char *key, const json_t *value, struct failure *f) {
        for (size_t i = 0; i < N_TABLE; i++) {
                json_int_t n = json_integer_value(value);

                if (strcmp(key, table[i].key) != 0)
                        continue;
                if (!json_is_integer(value) || n < 1)
                        return failf(f, -EINVAL, FAILURE_SPEC, "limits.%s must be an integer of at least 1", key);
                *slot(l, i) = (uint64_t) n < table[i].max ? (uint64_t) n : table[i].max;
                return 0;
        }
        return failf(f, -EINVAL, FAILURE_SPEC,
                "limits.%s is unknown; known are bytes, entries, layers, depth, manifest and name", key);
}

int limits_parse(const json_t *object, struct limits *ret, struct failure *f) {
        struct limits l;
        const char *key;
        json_t *value;

        for (size_t i = 0; i < N_TABLE; i++)
                *slot(&l, i) = table[i].usual;
        if (object && !json_is_object(object))
                return failf(f, -EINVAL, FAILURE_SPEC, "limits must be an object of integers");
        json_object_foreach((json_t *) object, key, value) {
                int r = set_limit(&l, key, value, f);

                if (r < 0)
                        return r;
        }
        *ret = l;
        return 0;
}
