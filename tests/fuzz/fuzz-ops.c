/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What ops prints: a path or none, and words that can be shown. */
#include <glib.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "worker/ops-output.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        size_t half = size / 2;
        char *path = ops_output_image((const char *) data, size);
        char *words = ops_output_words((const char *) data, half, (const char *) data + half, size - half);

        if (path && (path[0] != '/' || strlen(path) >= PATH_MAX || strpbrk(path, "\n\r\t")))
                abort();
        if (strlen(words) > OPS_WORDS_MAX || !g_utf8_validate(words, -1, NULL))
                abort();
        for (const char *p = words; *p; p++)
                if ((unsigned char) *p < 0x20)
                        abort();
        g_free(path);
        g_free(words);
        return 0;
}
