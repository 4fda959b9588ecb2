/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The program's environment: what it was given, the two defaults no program does well without, and where its
 * credentials are. */
#include "guest/environment.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* Whether own has a value for the key of entry. */
static bool is_replaced(const char *entry, const char *const *own) {
        size_t len = strcspn(entry, "=") + 1;

        for (; *own; own++)
                if (strncmp(*own, entry, len) == 0)
                        return true;
        return false;
}

static bool add_copy(char **list, size_t *n, const char *entry) {
        list[*n] = strdup(entry);
        return list[(*n)++] != NULL;
}

char **environment_new(const struct string_list *given, const char *home, const char *const *own) {
        size_t n = 0, n_own = 0;
        bool good = true;
        char **list;

        while (own[n_own])
                n_own++;
        list = calloc(given->n + n_own + 3, sizeof(char *));
        if (!list)
                return NULL;
        for (size_t i = 0; i < given->n && good; i++)
                if (!is_replaced(given->items[i], own))
                        good = add_copy(list, &n, given->items[i]);
        for (size_t i = 0; i < n_own && good; i++)
                good = add_copy(list, &n, own[i]);
        if (good && !environment_get(given->items, "PATH"))
                good = add(list, &n, "PATH", ENVIRONMENT_PATH);
        if (good && !environment_get(given->items, "HOME"))
                good = add(list, &n, "HOME", home);
        if (!good) {
                /* asprintf() leaves its result undefined. */
                list[n - 1] = NULL;
                return environment_free(list);
        }
        return list;
}
