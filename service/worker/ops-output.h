/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* Reads what `ops` printed. Pure; the text is a foreign program's. */

/* The path of the last "Bootable image file:PATH" line, absolute and printable; NULL without one. The caller frees. */
char *ops_output_image(const char *text, size_t len);

/* The last lines of both streams on one line, for an error: at most OPS_WORDS_MAX bytes of printable UTF-8. "" when
 * there is nothing. The caller frees. */
#define OPS_WORDS_MAX 400U
char *ops_output_words(const char *out, size_t out_len, const char *err, size_t err_len);
