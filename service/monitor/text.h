/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* Foreign text that goes into a JSON message or a status line: at most TEXT_MAX bytes, printable UTF-8. */
#define TEXT_MAX 512U

/* Copies text into buf (TEXT_MAX + 1 bytes) and terminates it: '?' for what is not printable or not UTF-8, the blank
 * ends cut off, a long text cut between characters. Returns buf. */
char *text_clean(char *buf, const void *text, size_t len);

/* Where to cut the first len bytes of a longer text so that no UTF-8 sequence is broken: len or up to three less. */
size_t text_cut(const void *text, size_t len);
