/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

/* What json_loadb() with JSON_REJECT_DUPLICATES makes of the text, sooner where the text is as records are: objects,
 * arrays, whole numbers, ASCII without escapes. New reference; NULL with error as the library has it. */
json_t *record_text_parse(const char *text, size_t len, json_error_t *error);
