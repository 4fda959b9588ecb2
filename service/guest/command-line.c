/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looks into the kernel's command line, which is the host's word as the boot message is. */
#include "guest/command-line.h"

#include <string.h>

#define BLANKS " \t\n"

bool command_line_value(const char *line, const char *key, char *ret, size_t size) {
        const char *value = NULL;
        size_t n = strlen(key), len = 0;

        for (const char *word = line + strspn(line, BLANKS); *word; word += strspn(word, BLANKS)) {
                size_t all = strcspn(word, BLANKS);

                if (all > n && strncmp(word, key, n) == 0 && word[n] == '=') {
                        value = word + n + 1;
                        len = all - n - 1;
                }
                word += all;
        }
        if (!value || len >= size)
                return false;
        memcpy(ret, value, len);
        ret[len] = '\0';
        return true;
}
