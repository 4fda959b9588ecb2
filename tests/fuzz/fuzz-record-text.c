/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The short way to a record's JSON, beside the library's: one value, or none. */
#include <stdint.h>
#include <stdlib.h>

#include "model/record-text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        json_t *expected = json_loadb((const char *) data, size, JSON_REJECT_DUPLICATES, NULL);
        json_t *found = record_text_parse((const char *) data, size, NULL);

        if (!expected != !found || (expected && !json_equal(expected, found)))
                abort();
        json_decref(expected);
        json_decref(found);
        return 0;
}
