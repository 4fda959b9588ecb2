/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The program's environment: what it was given, the two defaults no program does well without, and where its
 * credentials are. */
#include "guest/environment.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CREDENTIALS_KEY "CREDENTIALS_DIRECTORY"

const char *environment_get(char *const *list, const char *key) {
        size_t len = strlen(key);

        for (; list && *list; list++)
                if (strncmp(*list, key, len) == 0 && (*list)[len] == '=')
                        return *list + len + 1;
        return NULL;
}

char **environment_free(char **list) {
        for (char **p = list; p && *p; p++)
                free(*p);
        free(list);
        return NULL;
}

static bool add(char **list, size_t *n, const char *key, const char *value) {
        return asprintf(&list[(*n)++], "%s=%s", key, value) >= 0;
}

char **environment_new(const struct string_list *given, const char *home, const char *credentials) {
        char **list = calloc(given->n + 4, sizeof(char *));
        size_t n = 0;
        bool good = true;

        if (!list)
                return NULL;
        for (size_t i = 0; i < given->n && good; i++)
                if (!credentials || strncmp(given->items[i], CREDENTIALS_KEY "=", sizeof(CREDENTIALS_KEY)) != 0)
                        good = (list[n++] = strdup(given->items[i]));
        if (good && !environment_get(given->items, "PATH"))
                good = add(list, &n, "PATH", ENVIRONMENT_PATH);
        if (good && !environment_get(given->items, "HOME"))
                good = add(list, &n, "HOME", home);
        if (good && credentials)
                good = add(list, &n, CREDENTIALS_KEY, credentials);
        if (!good) {
                /* asprintf() leaves its result undefined. */
                list[n - 1] = NULL;
                return environment_free(list);
        }
        return list;
}
